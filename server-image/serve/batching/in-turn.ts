/** One after another, as one model computes no two runs at once; results in the order of the items. */
export async function inTurn<T, R>(items: readonly T[], action: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  for (const item of items) results.push(await action(item))
  return results
}
