import { afterAll, describe, expect, test } from '@jest/globals'
import { get, post, startTestServer, type TestServer } from '../testing.ts'
import { Reader, documentOf, openApiFault } from './testing.ts'

/** Of model/testdata: rows and tensors, numbers and texts, fixed and free sizes, classes and values. */
const MODELS = [
  'forest20',
  'text_labels',
  'huge_labels',
  'regressor',
  'doubles',
  'integers',
  'multi_output',
  'isolation_forest',
  'kmeans',
  'columns',
  'strings',
  'mlp20',
  'fixed_batch_1',
  'fixed_batch_8',
  'any_width',
  'dynamic_image',
  'every_datatype',
  'lightgbm_style',
  'unknown_category',
  'initializers_as_inputs',
  'nested',
]

const servers = new Map<string, Promise<TestServer>>()

afterAll(async () => {
  for (const server of servers.values()) await (await server).close()
})

/** ONNX Runtime loads a model once and for all, so tests of one model share its server. */
function serverOf(model: string): Promise<TestServer> {
  const server = servers.get(model) ?? startTestServer(model, { modelName: `${model} (é)`, maxInstances: 50 })
  servers.set(model, server)
  return server
}

const readers = new Map<string, Promise<Reader>>()

/** It compiles schemas as they are needed, once. */
async function readerOf(model: string) {
  const { url } = await serverOf(model)
  const reader = readers.get(model) ?? documentOf(url).then((document) => new Reader(document))
  readers.set(model, reader)
  return { url, reader: await reader }
}

describe.each(MODELS)('the document of %s', (model) => {
  test('is valid OpenAPI', async () => {
    const { reader } = await readerOf(model)
    expect(await openApiFault(reader.document)).toBeUndefined()
  })

  test('has examples that fit their schemas, and the server answers them as documented', async () => {
    const { url, reader } = await readerOf(model)
    let asked = 0
    for (const path of Object.keys(reader.document.paths)) {
      if (!/predict|infer/.test(path)) continue
      for (const example of reader.examplesOf(path)) {
        asked += 1
        expect([path, reader.requestFault(path, example)]).toEqual([path, undefined])
        const answer = await post(url + path, example)
        expect([path, answer.status, answer.json]).toMatchObject([path, 200, {}])
        expect([path, reader.answerFault(path, 'post', answer)]).toEqual([path, undefined])
      }
    }
    expect(asked).toBeGreaterThanOrEqual(2)
  })

  test('has the routes that the server has', async () => {
    const { url, reader } = await readerOf(model)
    const { routes } = (await get(url)).json as { routes: { method: string; path: string }[] }
    const documented = Object.entries(reader.document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    )
    const needRows = ['/predict', '/predict/batch', '/feedback']
    const isTabular = documented.includes('POST /predict')
    const wanted = routes
      .filter(({ path }) => isTabular || !(needRows.includes(path) || path.endsWith(':predict')))
      .map(({ method, path }) => `${method} ${path}`)
    expect(new Set(documented)).toEqual(new Set(['GET /', ...wanted]))
  })
})
