import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { EVIDENCE_PATH, type Answers, type Evidence } from '../../../protocol/evidence.ts'
import { get, post, startTestServer, type TestServer } from '../testing.ts'

const servers = new Map<string, Promise<TestServer>>()

afterAll(async () => {
  for (const server of servers.values()) await (await server).close()
})

/** ONNX Runtime loads a model once and for all, so tests of one model share its server. */
function serverOf(model: string): Promise<TestServer> {
  const server = servers.get(model) ?? startTestServer(model, { maxInstances: 50 })
  servers.set(model, server)
  return server
}

interface TensorJson {
  readonly shape: readonly number[]
  readonly data: readonly (number | string)[]
}
type Expectations = Record<string, { inputs: Record<string, TensorJson>; outputs: Record<string, TensorJson> }>
const expected = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../model/testdata/expected.json'), 'utf8'),
) as Expectations

function rowsOf({ shape, data }: TensorJson): (number | string)[][] {
  const width = shape[1] ?? 1
  return Array.from({ length: shape[0] ?? 0 }, (_, row) => data.slice(row * width, (row + 1) * width))
}

function known(model: string) {
  const { inputs, outputs } = expected[model] as Expectations[string]
  return { rows: rowsOf(Object.values(inputs)[0] as TensorJson), outputs: Object.values(outputs) }
}

async function ownAnswers(url: string) {
  const { answers, revision } = (await get(url + EVIDENCE_PATH)).json as Evidence
  return answers[revision] as Answers
}

async function predict(model: string, features: unknown) {
  const { url } = await serverOf(model)
  return post(`${url}/predict`, { features })
}

test("KServe's first protocol: the same rows, the predictions alone", async () => {
  const forest = await serverOf('forest20')
  const row = Array.from({ length: 20 }, (_, index) => index / 10)
  const instances = [row, row]
  const batch = await post(`${forest.url}/predict/batch`, { instances })
  const v1 = await post(`${forest.url}/v1/models/m:predict`, { instances })
  expect(v1).toMatchObject({
    status: 200,
    json: { predictions: (batch.json as { predictions: unknown[] }).predictions },
  })
  expect(await get(`${forest.url}/v1/models/m`)).toMatchObject({ status: 200, json: { name: 'm', ready: true } })
  expect(await get(`${forest.url}/v1/models/m:predict`)).toMatchObject({ status: 405 })
  expect(await get(`${forest.url}/v1/models`)).toMatchObject({ status: 200, json: { models: ['m'] } })
  expect((await post(`${forest.url}/v1/models/m:predict`, { inputs: instances })).json).toEqual(v1.json)
  const both = await post(`${forest.url}/v1/models/m:predict`, { instances, inputs: instances })
  expect(both).toMatchObject({ status: 400, json: { field: 'inputs' } })
  expect((await post(`${forest.url}/predict/batch`, { inputs: instances })).status).toBe(400)
  const bad = await post(`${forest.url}/v1/models/m:predict`, { instances: [[1]] })
  expect(bad).toMatchObject({ status: 422, json: { error: expect.any(String) as unknown, field: 'instances[0]' } })
})

describe('POST /predict', () => {
  test('answers with the class and its probability, as the model computes them', async () => {
    const { rows, outputs } = known('forest20')
    const [labels, probabilities] = outputs as [TensorJson, TensorJson]
    for (const [index, row] of rows.entries()) {
      const { status, json } = await predict('forest20', row)
      expect(status).toBe(200)
      const wanted = rowsOf(probabilities)[index] as number[]
      expect(json).toEqual({
        prediction: Number(labels.data[index]),
        probability: expect.closeTo(Math.max(...wanted), 5),
        latency_ms: expect.any(Number),
      })
    }
  })

  test('gives labels of text as text', async () => {
    const { rows, outputs } = known('text_labels')
    const { json } = await predict('text_labels', rows[0])
    expect(json).toMatchObject({ prediction: outputs[0]?.data[0], probability: expect.any(Number) })
  })

  test('gives the value of a regression, without a probability', async () => {
    const { rows, outputs } = known('regressor')
    const { json } = await predict('regressor', rows[1])
    expect(json).toMatchObject({ prediction: expect.closeTo(Number(outputs[0]?.data[1]), 4), probability: null })
  })

  test('takes features by name, in any order', async () => {
    const byName = await predict('columns', { city: 'Lima', age: 31, amount: 12.5, visits: 2 })
    const byPlace = await predict('columns', [31, 12.5, 2, 'Lima'])
    expect(byName.status).toBe(200)
    expect({ ...(byName.json as object), latency_ms: 0 }).toEqual({ ...(byPlace.json as object), latency_ms: 0 })
  })

  test.each<[object, string, string]>([
    [{ city: 'Lima', age: 31, amount: 1 }, 'features.visits', 'is missing'],
    [{ city: 'Lima', age: 31, amount: 1, visits: 2, height: 3 }, 'features.height', 'no feature of this model'],
    [{ city: 5, age: 31, amount: 1, visits: 2 }, 'features[3]', 'must be a string'],
    [{ city: 'Lima', age: 31, amount: 1, visits: 2.5 }, 'features[2]', 'must be an integer'],
  ])('refuses %j, naming %s', async (features, field, problem) => {
    const { status, json } = await predict('columns', features)
    expect([status, json]).toEqual([
      422,
      { error: { code: 'invalid_input', field, message: expect.stringContaining(problem) as unknown } },
    ])
  })

  test.each([
    ['predict', '{"features": [1], "features": {"city":"Lima","age":31,"amount":1,"visits":2}}', 'features'],
    ['predict', '{"features": {"city":"Lima","age":{"a":1},"amount":1,"visits":2,"\\u0061ge":31}}', 'features.age'],
    [
      'predict/batch',
      '{"instances": [[31,1,2,"a: \\"b\\": [{"], {"city":"","age":3,"age":1,"amount":1,"visits":2}]}',
      'instances[1].age',
    ],
    ['v1/models/m:predict', '{"instances": [], "instances": [[31,1,2,"Lima"]]}', 'instances'],
  ])('refuses a name that comes twice, of which parsing would keep the last: %s %s', async (path, body, field) => {
    const { url } = await serverOf('columns')
    const { status, json } = await post(`${url}/${path}`, body)
    const problem = `The member "${field}" is given twice; send it once.`
    expect([status, JSON.stringify(json)]).toEqual([400, expect.stringContaining(JSON.stringify(problem).slice(1, -1))])
    expect(JSON.stringify(json)).toContain(`"field":"${field}"`)
  })

  test('says why a model cannot be asked by rows', async () => {
    const { status, json } = await predict('dynamic_image', [1])
    expect([status, json]).toMatchObject([400, { error: { code: 'unsupported_by_model' } }])
  })

  test('gives every request the answer to its own row, however many come at once', async () => {
    await serverOf('mlp20')
    const finite = fc.float({ noNaN: true, noDefaultInfinity: true, min: -100, max: 100 })
    const rows = fc.array(fc.array(finite, { minLength: 20, maxLength: 20 }), { minLength: 1, maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(rows, async (features) => {
        const together = await Promise.all(features.map((row) => predict('mlp20', row)))
        for (const [index, { json }] of together.entries()) {
          const alone = (await predict('mlp20', features[index])).json as { prediction: number; probability: number }
          expect(json).toMatchObject({
            prediction: alone.prediction,
            probability: expect.closeTo(alone.probability, 5),
          })
        }
      }),
      { numRuns: 20 },
    )
  })

  test('answers 500 for the one row that the model fails on, and 200 for its neighbours', async () => {
    const { rows } = known('unknown_category')
    const replies = await Promise.all(
      [[rows[0]?.[0]], [9999], [rows[1]?.[0]]].map((row) => predict('unknown_category', row)),
    )
    expect(replies.map(({ status }) => status)).toEqual([200, 500, 200])
    const { error } = replies[1]?.json as { error: { code: string; message: string } }
    expect(error.code).toBe('model_failed')
    expect(error.message.length).toBeLessThan(300)
    expect(error.message).not.toContain('/onnxruntime_src')
  })

  test('refuses an input that the model answers with NaN: evidence against nobody', async () => {
    const { url } = await serverOf('mlp20')
    const before = await ownAnswers(url)
    const features = Array<number>(20).fill(3.4e38)
    const tensor = { name: 'x', shape: [1, 20], datatype: 'FP32', data: features }
    const asked: [string, unknown][] = [
      ['/predict', { features }],
      ['/predict/batch', { instances: [features] }],
      ['/v2/models/m/infer', { inputs: [tensor] }],
    ]
    for (const [path, body] of asked) {
      const { status, json } = await post(url + path, body)
      const { error, code } = json as { error: { code: string } | string; code?: string }
      expect([status, typeof error === 'string' ? code : error.code]).toEqual([422, 'unrepresentable_output'])
    }
    const body = JSON.stringify({ inputs: [tensor], parameters: { binary_data_output: true } })
    const headers = { 'content-type': 'application/json' }
    expect((await fetch(`${url}/v2/models/m/infer`, { method: 'POST', headers, body })).status).toBe(200)
    const { ok, error, rejected } = await ownAnswers(url)
    expect([ok - before.ok, error - before.error, rejected - before.rejected]).toEqual([1, 0, 3])
  })

  test('runs a model whose batch is fixed to one row by row', async () => {
    const { rows } = known('fixed_batch_1')
    const replies = await Promise.all(Array.from({ length: 5 }, () => predict('fixed_batch_1', rows[0])))
    expect(
      new Set(replies.map(({ status, json }) => [status, (json as { prediction: unknown }).prediction].join())),
    ).toHaveProperty('size', 1)
    expect(replies[0]?.status).toBe(200)
  })

  test('keeps rows of different lengths apart', async () => {
    const lengths = [1, 3, 2, 3, 1]
    const replies = await Promise.all(lengths.map((length) => predict('any_width', Array(length).fill(1))))
    const alone = []
    for (const length of lengths) alone.push(await predict('any_width', Array(length).fill(1)))
    const answers = (list: typeof replies) =>
      list.map(({ status, json }) => [status, (json as { prediction?: unknown }).prediction])
    expect(answers(replies)).toEqual(answers(alone))
  })
})

describe('POST /predict/batch', () => {
  test('answers all rows, with the probabilities of all classes', async () => {
    const { url } = await serverOf('forest20')
    const { rows, outputs } = known('forest20')
    const { status, json } = await post(`${url}/predict/batch`, { instances: rows })
    expect(status).toBe(200)
    const wanted = rowsOf(outputs[1] as TensorJson).map((row) =>
      row.map((value) => expect.closeTo(Number(value), 5) as unknown),
    )
    expect(json).toEqual({
      predictions: outputs[0]?.data.map(Number),
      probabilities: wanted,
      classes: [0, 1],
      latency_ms: expect.any(Number),
      count: rows.length,
    })
  })

  test('has no probabilities for a regression', async () => {
    const { url } = await serverOf('regressor')
    const { json } = await post(`${url}/predict/batch`, { instances: known('regressor').rows.slice(0, 2) })
    expect(json).toMatchObject({ probabilities: null, count: 2 })
  })

  test.each<[unknown, string]>([
    [[], 'instances'],
    [Array(51).fill([1]), 'instances'],
    ['rows', 'instances'],
    [[Array(20).fill(0), Array(19).fill(0)], 'instances[1]'],
    [[Array(20).fill(0), [...Array<number>(19).fill(0), null]], 'instances[1][19]'],
  ])('refuses instances %#, naming the field', async (instances, field) => {
    const { url } = await serverOf('mlp20')
    const { status, json } = await post(`${url}/predict/batch`, { instances })
    expect([400, 422]).toContain(status)
    expect(json).toMatchObject({ error: { field } })
  })
})
