import { createServer } from 'node:net'

/** Gives every pod an address of its own. */
export interface AddressAllocator {
  /** @throws Error when none is left. */
  allocate(): string
  release(address: string): void
}

/**
 * The addresses `127.<slot>.<1..127>.<1..254>`, given out in turn, so that an address is used again as late as possible: a client
 * that still knows a dead pod's address finds nobody, not another pod.
 */
export function loopbackAddresses(slot: number): AddressAllocator {
  return rotatingAddresses((index) => `127.${slot}.${1 + Math.floor(index / 254)}.${1 + (index % 254)}`, 127 * 254)
}

/** Gives out `addressOf(0)` to `addressOf(size - 1)` in turn. */
export function rotatingAddresses(addressOf: (index: number) => string, size: number): AddressAllocator {
  const taken = new Set<string>()
  let next = 0
  return {
    allocate() {
      for (let tries = 0; tries < size; tries++) {
        const address = addressOf(next)
        next = (next + 1) % size
        if (taken.has(address)) continue
        taken.add(address)
        return address
      }
      throw new Error(`all ${size} pod addresses are taken: delete some pods`)
    },
    release: (address) => void taken.delete(address),
  }
}

/** Makes sure that this machine can listen on an address. @throws Error with the remedy when it cannot. */
export async function assertUsable(address: string): Promise<void> {
  const server = createServer()
  const problem = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
    server.once('error', resolve)
    server.listen({ host: address, port: 0 }, () => resolve(undefined))
  })
  if (problem === undefined) {
    await new Promise((resolve) => server.close(resolve))
    return
  }
  const remedy =
    process.platform === 'darwin'
      ? `macOS knows only 127.0.0.1 by itself; add the address with: sudo ifconfig lo0 alias ${address} up (one for each pod and Service), or run the sandbox in a Linux container`
      : `add it to an interface, for example: ip address add ${address}/32 dev lo`
  throw new Error(`pods cannot listen on ${address} (${problem.code ?? problem.message}): ${remedy}`)
}
