/** Rows of several requests as one tensor, and back: rows are the first dimension, and all else is the same. */
import { emptyData, type Tensor, type TensorData, type Tensors } from '../../model/tensor.ts'

/** @param rows of all of them together */
export function stackedTensors(all: readonly Tensors[], rows: number): Tensors {
  const feeds: Record<string, Tensor> = {}
  for (const name in all[0]) feeds[name] = stacked(all, name, rows)
  return feeds
}

function stacked(all: readonly Tensors[], name: string, rows: number): Tensor {
  const { datatype, shape } = all[0]?.[name] as Tensor
  let size = 0
  for (const feeds of all) size += feeds[name]?.data.length ?? 0
  const data = emptyData(datatype, size)
  let at = 0
  for (const feeds of all) {
    const values = (feeds[name] as Tensor).data
    if (Array.isArray(data)) for (const [index, value] of (values as string[]).entries()) data[at + index] = value
    else (data as Float32Array).set(values as Float32Array, at)
    at += values.length
  }
  return { datatype, shape: [rows, ...shape.slice(1)], data }
}

/** So many rows of each tensor; the same memory. */
export function partOf(tensors: Tensors, from: number, rows: number): Tensors {
  const own: Record<string, Tensor> = {}
  for (const name in tensors) own[name] = part(tensors[name] as Tensor, from, rows)
  return own
}

function part({ datatype, shape, data }: Tensor, from: number, rows: number): Tensor {
  const [all = 1, ...inner] = shape
  const width = all === 0 ? 0 : data.length / all
  const [begin, end] = [from * width, (from + rows) * width]
  const own: TensorData = Array.isArray(data) ? data.slice(begin, end) : data.subarray(begin, end)
  return { datatype, shape: [rows, ...inner], data: own }
}
