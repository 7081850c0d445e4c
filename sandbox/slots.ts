const FIRST_SLOT = 16
const LAST_SLOT = 250

/**
 * Takes the first free slot: each owns the addresses `127.<slot>.0.0/16` of this machine. `occupy` listens on the slot's own address,
 * which is also the lock: it rejects with EADDRINUSE when another sandbox has the slot.
 *
 * @throws Error when all slots are taken, or what `occupy` rejected with for another reason.
 */
export async function takeSlot<T>(occupy: (slot: number) => Promise<T>): Promise<{ slot: number; held: T }> {
  for (let slot = FIRST_SLOT; slot <= LAST_SLOT; slot++) {
    try {
      return { slot, held: await occupy(slot) }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    }
  }
  throw new Error(`all addresses 127.${FIRST_SLOT}.0.1 to 127.${LAST_SLOT}.0.1 are in use: close some sandboxes`)
}
