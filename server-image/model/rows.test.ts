import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { feedsOf, outputsOf, predictionsOf, rowProblem, type Prediction, type Row } from './rows.ts'
import { loadModel, type LoadedModel } from './session.ts'
import type { TabularSignature } from './signature.ts'
import type { Tensors } from './tensor.ts'

async function load(name: string): Promise<{ model: LoadedModel; signature: TabularSignature }> {
  const model = await loadModel({ path: join(import.meta.dirname, 'testdata', `${name}.onnx`) })
  if (model.signature.kind !== 'tabular') throw new Error(`${name} takes no rows`)
  return { model, signature: model.signature }
}

async function predict(name: string, rows: readonly Row[]): Promise<Prediction[]> {
  const { model, signature } = await load(name)
  expect(rows.map((row) => rowProblem(signature, row))).toEqual(rows.map(() => undefined))
  const predictions = predictionsOf(signature, model.run(feedsOf(signature, rows), outputsOf(signature)), rows.length)
  model.dispose()
  return predictions
}

describe('rows are predicted', () => {
  test('each by itself as in a batch', async () => {
    const rows = Array.from({ length: 5 }, (_, row) =>
      Array.from({ length: 20 }, (__, column) => ((row * 7 + column) % 10) / 10),
    )
    const together = await predict('forest20', rows)
    const alone = (await Promise.all(rows.map((row) => predict('forest20', [row])))).flat()
    expect(together).toEqual(alone)
    for (const { prediction, probability, probabilities = [] } of together) {
      expect(probability).toBe(Math.max(...probabilities))
      expect(probabilities.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1)
      expect(prediction).toBe(probabilities.indexOf(probability ?? -1))
    }
  })

  test('with labels that are text', async () => {
    const [first] = await predict('text_labels', [[0.99, 0.5, 0.5, 0.5]])
    expect(first?.prediction).toBe('blue')
    expect(first?.probability).toBe(first?.probabilities?.[0])
  })

  test('from mixed columns', async () => {
    const [oslo, lima] = await predict('columns', [
      [30, 90, 2, 'Oslo'],
      [30, 90, 2, 'Lima'],
    ])
    expect(oslo?.probabilities?.[1]).toBeCloseTo(0.731, 3)
    expect(lima?.probabilities?.[1]).toBeCloseTo(0.78, 3)
  })

  test('by the largest probability when there is no label', async () => {
    const [first] = await predict('mlp20', [new Array<number>(20).fill(0.5)])
    expect(first?.prediction).toBe(first?.probabilities?.indexOf(first.probability ?? -1))
  })

  test('by half when there is one probability', async () => {
    const [low, high] = await predict('any_width', [
      [-2, -2],
      [2, 2],
    ])
    expect(low).toMatchObject({ prediction: 0 })
    expect(high).toMatchObject({ prediction: 1 })
    expect(high?.probability).toBeCloseTo(1 / (1 + Math.exp(-2)))
  })

  test("with the probability of the class that the model's label names, be it the largest or not", async () => {
    const { signature } = await load('text_labels')
    const outputs: Tensors = {
      output_label: { datatype: 'BYTES', shape: [1], data: ['red'] },
      output_probability: { datatype: 'FP32', shape: [1, 3], data: new Float32Array([0.5, 0.25, 0.25]) },
    }
    expect(predictionsOf(signature, outputs, 1)).toEqual([
      { prediction: 'red', probability: 0.25, probabilities: [0.5, 0.25, 0.25] },
    ])
  })

  test('never when the outputs are not one for each row', async () => {
    const { model, signature } = await load('forest20')
    const outputs = model.run(feedsOf(signature, [new Array<number>(20).fill(0)]))
    expect(() => predictionsOf(signature, outputs, 2)).toThrow('answered 2 rows with output output_label of shape [1]')
  })

  test('as numbers by a regression', async () => {
    const [first] = await predict('doubles', [[1, 0, 0, 0, 0, 0]])
    expect(first?.probability).toBeNull()
    expect(first?.prediction).toBeGreaterThan(2)
  })

  test('without a probability by a model that gives none', async () => {
    const [first] = await predict('kmeans', [[0, 0, 0, 0]])
    expect(first).toEqual({ prediction: expect.any(Number), probability: null })
  })
})

describe('a bad row is told by its field', () => {
  const twenty = new Array<number>(20).fill(0)
  test.each<[string, unknown, string]>([
    ['forest20', 'text', 'features must be an array of 20 values'],
    ['forest20', null, 'features must be an array of 20 values'],
    ['forest20', [1, 2], 'features must have 20 values, got 2'],
    ['forest20', [...twenty.slice(1), '3'], 'features[19] must be a finite number, got "3"'],
    ['forest20', [null, ...twenty.slice(1)], 'features[0] must be a finite number, got null'],
    ['forest20', [Number.NaN, ...twenty.slice(1)], 'features[0] must be a finite number, got NaN'],
    ['forest20', [1e39, ...twenty.slice(1)], 'features[0] must be a number that fits 32-bit floating point, got 1e+39'],
    ['integers', [1, 2.5, 3], 'features[1] must be an integer from -9007199254740991 to 9007199254740991, got 2.5'],
    ['columns', [1, 2, 3, 4], 'features[3] (city) must be a string, got 4'],
    ['columns', [1, 2, 3, 'Oslo\0tail'], 'features[3] (city) must be a string without the character U+0000'],
    ['columns', [1, 2, true, 'Oslo'], 'features[2] (visits) must be a finite number, got true'],
    ['any_width', [], 'features must have at least 1 value, got 0'],
    ['any_width', [1, 'x'], 'features[1] must be a finite number, got "x"'],
  ])('%s %j', async (name, row, problem) => {
    const { signature } = await load(name)
    expect(rowProblem(signature, row)).toContain(problem)
  })

  test('below the path where it stands', async () => {
    const { signature } = await load('forest20')
    expect(rowProblem(signature, [], 'instances[3]')).toBe('instances[3] must have 20 values, got 0')
  })

  test('and a double takes what a float cannot', async () => {
    const { signature } = await load('doubles')
    expect(rowProblem(signature, [1e300, 0, 0, 0, 0, 0])).toBeUndefined()
  })
})
