import type { FeatureValue, Row } from '../model/rows.ts'
import type { TabularSignature } from '../model/signature.ts'
import type { Tensors } from '../model/tensor.ts'

/** The rows that were packed into these tensors: the way back from `feedsOf`. */
export function rowsOfFeeds({ blocks }: TabularSignature, feeds: Tensors): Row[] {
  const [first] = blocks
  const count = first === undefined ? 0 : (feeds[first.input]?.shape[0] ?? 0)
  return Array.from({ length: count }, (_, row) =>
    blocks.flatMap(({ input }): FeatureValue[] => {
      const tensor = feeds[input]
      if (tensor === undefined) return []
      const width = tensor.data.length / count
      return Array.from({ length: width }, (_, column) => {
        const value = tensor.data[row * width + column] ?? 0
        return typeof value === 'bigint' ? Number(value) : value
      })
    }),
  )
}
