const MODULUS = 2 ** 31 - 1
const MULTIPLIER = 48_271

/**
 * Uniform numbers in (0, 1) that are the same at every run, for tests that simulate traffic: the multiplicative congruential
 * generator of Park and Miller (CACM 1988, multiplier of 1993).
 */
export function seededUniform(seed: number): () => number {
  let state = (Math.abs(Math.trunc(seed)) % (MODULUS - 1)) + 1
  const next = () => {
    state = (state * MULTIPLIER) % MODULUS
    return state / MODULUS
  }
  // The first numbers of neighbouring seeds resemble each other.
  for (let i = 0; i < 20; i++) next()
  return next
}
