import { describe, expect, test } from '@jest/globals'
import { loadModel, type LoadedModel } from '../../model/session.ts'
import type { Tensors } from '../../model/tensor.ts'
import { modelPath } from '../testing.ts'
import { warmUpModel } from './warm-up.ts'

const load = (name: string) => loadModel({ path: modelPath(name) })

/** The model, but what it answers is up to `answer`. */
function answering(model: LoadedModel, answer: (rows: number[][], honest: () => Tensors) => Tensors): LoadedModel {
  return {
    ...model,
    run(feeds, outputs) {
      const [{ shape, data } = { shape: [], data: [] }] = Object.values(feeds)
      const [rows = 1, width = 1] = shape
      const values = Array.from(data as Float32Array, Number)
      const cut = Array.from({ length: rows }, (_, row) => values.slice(row * width, (row + 1) * width))
      return answer(cut, () => model.run(feeds, outputs))
    },
  }
}

const refuse = () => {
  throw new Error('no such code')
}

describe('rows of several requests may be computed together', () => {
  test.each(['forest20', 'mlp20', 'columns', 'any_width', 'fixed_batch_1'])('by %s', async (name) => {
    expect(warmUpModel(await load(name), 2)).toMatchObject({ rowsAreIndependent: true, notes: [] })
  })

  test('when the model refuses some made-up rows, but answers others alone and together alike', async () => {
    const picky = answering(await load('mlp20'), (rows, honest) =>
      rows.some(([first]) => first === 0 || first === 2) ? refuse() : honest(),
    )
    expect(warmUpModel(picky, 1)).toMatchObject({ rowsAreIndependent: true, notes: [] })
  })
})

describe('rows of several requests are kept apart', () => {
  test.each<[string, (rows: number[][], honest: () => Tensors) => Tensors, RegExp]>([
    ['fails whatever it is asked', refuse, /^The warm-up failed: no such code/],
    [
      'answers only one kind of row',
      (rows, honest) => (rows.every(([first]) => first === 1) ? honest() : refuse()),
      /not batched: the model refused/,
    ],
    [
      'fails on two rows',
      (rows, honest) => (rows.length > 1 ? refuse() : honest()),
      /not batched: this model computes a row differently/,
    ],
    [
      'answers a row differently beside another',
      (rows, honest) => {
        const outputs = honest()
        const { scores } = outputs
        if (rows.length > 1 && scores !== undefined) (scores.data as Float32Array)[0] = 5
        return outputs
      },
      /not batched: this model computes a row differently/,
    ],
  ])('when the model %s', async (_what, answer, note) => {
    const { rowsAreIndependent, notes } = warmUpModel(answering(await load('mlp20'), answer), 1)
    expect([rowsAreIndependent, notes]).toEqual([false, [expect.stringMatching(note)]])
  })
})
