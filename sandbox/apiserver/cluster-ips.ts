/** Addresses for Services out of one range, `<first>.<second>.<thirdFrom..thirdTo>.<1..254>`. */
export interface IpRange {
  readonly first: number
  readonly second: number
  readonly thirdFrom: number
  readonly thirdTo: number
}

const LAST_OCTETS = 254

export class ClusterIps {
  readonly #range: IpRange
  readonly #used = new Set<string>()
  #next = 0

  constructor(range: IpRange) {
    this.#range = range
  }

  /** The next free address, or undefined when all are taken. A freed address is not given again soon. */
  allocate(): string | undefined {
    const size = (this.#range.thirdTo - this.#range.thirdFrom + 1) * LAST_OCTETS
    for (let tries = 0; tries < size; tries += 1) {
      const address = this.#address(this.#next)
      this.#next = (this.#next + 1) % size
      if (this.claim(address)) return address
    }
    return undefined
  }

  /** Takes a certain address; false when it is taken already. */
  claim(address: string): boolean {
    if (this.#used.has(address)) return false
    this.#used.add(address)
    return true
  }

  release(address: string): void {
    this.#used.delete(address)
  }

  contains(address: string): boolean {
    const { first, second, thirdFrom, thirdTo } = this.#range
    const [a, b, c = -1, d = 0, ...more] = address.split('.').map(Number)
    return (
      more.length === 0 && a === first && b === second && c >= thirdFrom && c <= thirdTo && d > 0 && d <= LAST_OCTETS
    )
  }

  describe(): string {
    const { first, second, thirdFrom, thirdTo } = this.#range
    return `${first}.${second}.${thirdFrom}.1-${first}.${second}.${thirdTo}.254`
  }

  #address(index: number): string {
    const { first, second, thirdFrom } = this.#range
    return `${first}.${second}.${thirdFrom + Math.floor(index / LAST_OCTETS)}.${(index % LAST_OCTETS) + 1}`
  }
}

/** A sandbox at 127.<slot>.0.1 owns 127.<slot>.0.0/16 and gives Services its upper half. */
export function defaultClusterIps(host: string): ClusterIps {
  const [first, second] = host.split('.').map(Number)
  if (first === 127 && second !== undefined && second > 0)
    return new ClusterIps({ first, second, thirdFrom: 128, thirdTo: 254 })
  return new ClusterIps({ first: 10, second: 96, thirdFrom: 0, thirdTo: 255 })
}
