/** Who answers a request: by count, exact to one request, or by the user, always the same. */
import type { Permille } from '../../../protocol/plan.ts'

const WHOLE = 1000

/**
 * Takes a share of a sequence by error diffusion: of any n requests in a row it takes n * share / 1000, give or take less than one.
 * @param phase in 0..999: where in its cycle it begins. Pods that begin at different phases keep the share among them all from
 *   their first requests on, however few each one gets.
 */
export class Split {
  readonly #share: Permille
  #error: number

  constructor(share: Permille, phase = 0) {
    this.#share = share
    this.#error = phase
  }

  take(): boolean {
    this.#error += this.#share
    if (this.#error < WHOLE) return false
    this.#error -= WHOLE
    return true
  }
}

/**
 * Place of a user in 0..999: taken when it is below the share, so that raising the share never moves a user back.
 * @param salt makes each rollout begin with other users; the same in all pods
 */
export function stickyBucket(salt: string, user: string): Permille {
  return mix(fnv1a(`${salt}/${user}`)) % WHOLE
}

/** FNV-1a, 32 bit (RFC 9923), over UTF-16 units as pairs of bytes. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index)
    hash = Math.imul(hash ^ (unit & 0xff), 0x01000193)
    hash = Math.imul(hash ^ (unit >>> 8), 0x01000193)
  }
  return hash >>> 0
}

/** Finalizer of MurmurHash3: FNV's last characters reach only some bits, and users often differ only in those. */
function mix(hash: number): number {
  let mixed = hash
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
