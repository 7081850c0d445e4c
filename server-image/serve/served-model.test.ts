import { expect, test } from '@jest/globals'
import { feedsOf } from '../model/rows.ts'
import { loadModel } from '../model/session.ts'
import type { RowAt } from '../monitor/monitor.ts'
import { serveModel } from './served-model.ts'
import { modelPath, testOptions } from './testing.ts'

test('tensors are taken for rows only when somebody looks at one', async () => {
  const model = await loadModel({ path: modelPath('mlp_classifier') })
  const { signature } = model
  if (signature.kind !== 'tabular') throw new Error('a model of rows is needed')
  const rows = [1, 2, 3].map((fill) => signature.features.map(() => fill))
  const feeds = feedsOf(signature, rows)
  const [name = '', tensor] = Object.entries(feeds)[0] ?? []
  if (tensor === undefined) throw new Error('a model with an input is needed')
  const outputs = model.run(feeds)
  let looks = 0
  const watched = {
    ...tensor,
    get data() {
      looks += 1
      return tensor.data
    },
  }
  const told: { rowAt: RowAt; labels: unknown[] }[] = []
  const served = serveModel(model, { run: () => outputs }, testOptions('mlp_classifier').batching, {
    onBatch: () => undefined,
    onClass: () => undefined,
    onAnswer: (_id, rowAt, predictions) =>
      told.push({ rowAt, labels: predictions.map(({ prediction }) => prediction) }),
  })
  expect(await served.infer({ feeds: { [name]: watched } }, { sequence: 0, text: 'a', isChosen: false })).toBe(outputs)
  expect([told[0]?.labels.length, looks]).toEqual([3, 0])
  expect(told[0]?.rowAt(1)).toEqual(rows[1])
})
