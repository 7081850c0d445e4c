import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { prepareModel } from './prepare.ts'
import type { Signature } from './signature.ts'

async function signatureOf(name: string): Promise<Signature> {
  return (await prepareModel({ path: join(import.meta.dirname, 'testdata', `${name}.onnx`) })).signature
}

const perClass = (output: string) => ({ output, datatype: 'FP32', form: 'perClass' })

describe('a tabular model is read as', () => {
  test.each<[string, object]>([
    [
      'forest20',
      { task: 'classification', featureCount: 20, classLabels: [0, 1], probability: perClass('output_probability') },
    ],
    ['forest20_no_zipmap', { task: 'classification', classLabels: [0, 1], probability: perClass('probabilities') }],
    [
      'text_labels',
      {
        task: 'classification',
        classLabels: ['blue', 'grün', 'red'],
        prediction: { output: 'output_label', datatype: 'BYTES' },
      },
    ],
    ['huge_labels', { task: 'classification', classLabels: [-5, '9007199254740993'] }],
    ['lightgbm_style', { task: 'classification', classLabels: [0, 1, 2], probability: perClass('probabilities') }],
    ['regressor', { task: 'regression', featureCount: 6, prediction: { output: 'variable', datatype: 'FP32' } }],
    ['doubles', { task: 'regression', blocks: [{ input: 'X', datatype: 'FP64', width: 6, rank: 2 }] }],
    ['integers', { task: 'classification', blocks: [{ input: 'X', datatype: 'INT64', width: 3, rank: 2 }] }],
    ['strings', { task: 'classification', blocks: [{ input: 'X', datatype: 'BYTES', width: 2, rank: 2 }] }],
    ['mlp20', { task: 'classification', probability: perClass('scores') }],
    ['fixed_batch_1', { task: 'classification', maxRows: 1 }],
    ['any_width', { task: 'classification', featureCount: -1, features: [], probability: { form: 'positive' } }],
    ['unknown_category', { task: 'classification', featureCount: 1, probability: perClass('probabilities') }],
    [
      'columns',
      {
        task: 'classification',
        featureCount: 4,
        features: [
          { name: 'age', datatype: 'FP32' },
          { name: 'amount', datatype: 'FP32' },
          { name: 'visits', datatype: 'INT64' },
          { name: 'city', datatype: 'BYTES' },
        ],
      },
    ],
  ])('%s', async (name, wanted) => {
    expect(await signatureOf(name)).toMatchObject({ kind: 'tabular', ...wanted })
  })

  test.each(['isolation_forest', 'kmeans'])('%s, whose scores are no probabilities', async (name) => {
    const signature = await signatureOf(name)
    expect(signature).toMatchObject({ task: 'classification', prediction: { output: 'label' } })
    expect(signature).not.toHaveProperty('probability')
  })
})

describe('no tabular model is', () => {
  test.each([
    ['fixed_batch_8', 'exactly 8 rows'],
    ['dynamic_image', 'shape [any, 3, any, any]'],
    ['several_zipmaps', 'several labels ("first_label", "second_label")'],
    ['multi_output', 'no output that holds a label or a number for each row'],
    ['every_datatype', 'unclear which of the outputs'],
  ])('%s', async (name, reason) => {
    expect(await signatureOf(name)).toMatchObject({ kind: 'none', reason: expect.stringContaining(reason) })
  })
})
