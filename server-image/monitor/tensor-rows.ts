import type { FeatureValue, Row } from '../model/rows.ts'
import type { TabularSignature } from '../model/signature.ts'
import type { Tensors } from '../model/tensor.ts'

export function rowCountOf({ blocks: [first] }: TabularSignature, feeds: Tensors): number {
  return first === undefined ? 0 : (feeds[first.input]?.shape[0] ?? 0)
}

/** One of the rows that were packed into these tensors: the way back from `feedsOf`. */
export function rowOfFeeds(signature: TabularSignature, feeds: Tensors, row: number): Row {
  const count = rowCountOf(signature, feeds)
  return signature.blocks.flatMap(({ input }): FeatureValue[] => {
    const tensor = feeds[input]
    if (tensor === undefined) return []
    const width = tensor.data.length / count
    return Array.from({ length: width }, (_, column) => {
      const value = tensor.data[row * width + column] ?? 0
      return typeof value === 'bigint' ? Number(value) : value
    })
  })
}
