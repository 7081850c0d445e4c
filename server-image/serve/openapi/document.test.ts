/** The document against the server: what its schemas refuse is refused, with the status and the body that it tells of. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp } from '../http/app.ts'
import { ServingState } from '../serving-state.ts'
import { get, post, startTestServer, type Reply, type TestServer } from '../testing.ts'
import { openApiDocument } from './document.ts'
import { openApiPages } from './pages.ts'
import { Reader, describedModel, documentOf, openApiFault, type OpenApi } from './testing.ts'

let columns: TestServer
let every: TestServer
let reader: Reader
let tensorReader: Reader

beforeAll(async () => {
  columns = await startTestServer('columns', { maxInstances: 5, maxBodyBytes: 10_000 })
  every = await startTestServer('every_datatype', { maxInstances: 5 })
  reader = new Reader(await documentOf(columns.url))
  tensorReader = new Reader(await documentOf(every.url))
})

afterAll(async () => {
  await columns.close()
  await every.close()
})

const right = [31, 12.5, 2, 'Lima']
const named = { age: 31, amount: 12.5, visits: 2, city: 'Lima' }

describe('what is no request of the document is refused as it says', () => {
  test.each<[string, unknown, number]>([
    ['/predict', {}, 400],
    ['/predict', [], 400],
    ['/predict', { features: right, more: 1 }, 400],
    ['/predict', { features: 'x' }, 422],
    ['/predict', { features: [] }, 422],
    ['/predict', { features: right.slice(1) }, 422],
    ['/predict', { features: [...right, 1] }, 422],
    ['/predict', { features: ['31', 12.5, 2, 'Lima'] }, 422],
    ['/predict', { features: [31, 12.5, 2.5, 'Lima'] }, 422],
    ['/predict', { features: [31, 12.5, 2 ** 53, 'Lima'] }, 422],
    ['/predict', { features: [31, 1e39, 2, 'Lima'] }, 422],
    ['/predict', { features: [31, null, 2, 'Lima'] }, 422],
    ['/predict', { features: [31, 12.5, 2, 'Li\0ma'] }, 422],
    ['/predict', { features: { ...named, height: 2 } }, 422],
    ['/predict', { features: { ...named, city: undefined } }, 422],
    ['/predict/batch', { instances: [] }, 422],
    ['/predict/batch', { instances: Array(6).fill(right) }, 422],
    ['/predict/batch', { instances: {} }, 400],
    ['/predict/batch', { features: right }, 400],
    ['/v1/models/m:predict', { instances: [right, [1]] }, 422],
    ['/v1/models/m:predict', {}, 400],
    ['/feedback', { id: 'x' }, 404],
    ['/feedback', { label: 1 }, 400],
    ['/feedback', { id: '', label: 1 }, 400],
    ['/feedback', { id: 'x', label: 1, more: 1 }, 400],
  ])('%s of %j', async (path, body, status) => {
    const reply = await post(columns.url + path, body)
    expect(reply.status).toBe(status)
    expect(reader.requestFault(path, JSON.parse(JSON.stringify(body)))).toBeDefined()
    expect(reader.answerFault(path, 'post', reply)).toBeUndefined()
  })

  const [tensorsPath, versionPath] = ['/v2/models/m/infer', '/v2/models/m/versions/7/infer']
  type Input = Record<string, unknown>
  const changes: [string, (request: { inputs: Input[] }) => unknown, number][] = [
    ['an input is missing', ({ inputs }) => ({ inputs: inputs.slice(1) }), 422],
    ['an input comes twice', ({ inputs }) => ({ inputs: [...inputs.slice(1), inputs[1]] }), 422],
    ['an input of another name', changed({ name: 'other' }), 422],
    ['another datatype', changed({ datatype: 'FP64' }), 422],
    ['another rank', changed({ shape: [2] }), 422],
    ['more rows than may be', changed({ shape: [6, 2], data: Array(12).fill(0) }), 422],
    ['a size of none', changed({ shape: [0, 2], data: [] }), 422],
    ['a shape of text', changed({ shape: '2' }), 400],
    ['an element of another type', changed({ data: ['a', 'b'] }), 422],
    ['no data', changed({ data: undefined }), 422],
    ['a member that is not known', changed({ values: [1] }), 400],
    ['no inputs', () => ({}), 400],
    ['an output that is not there', (request) => ({ ...request, outputs: [{ name: 'other' }] }), 422],
    ['a time below zero', (request) => ({ ...request, parameters: { timeout: -1 } }), 400],
    ['an id of a number', (request) => ({ ...request, id: 5 }), 400],
  ]
  function changed(change: Input) {
    return ({ inputs: [first, ...rest] }: { inputs: Input[] }) => ({ inputs: [{ ...first, ...change }, ...rest] })
  }

  test.each(changes)('V2: %s', async (_what, change, status) => {
    for (const path of [tensorsPath, versionPath]) {
      const body: unknown = JSON.parse(JSON.stringify(change(tensorReader.examplesOf(path)[0] as { inputs: Input[] })))
      const reply = await post(every.url + path, body)
      expect([path, reply.status]).toEqual([path, status])
      expect(tensorReader.requestFault(path, body)).toBeDefined()
      expect(tensorReader.answerFault(path, 'post', reply)).toBeUndefined()
    }
  })

  test.each<[string, () => Promise<Reply>, number]>([
    ['no JSON', () => post(`${columns.url}/predict`, '{'), 400],
    ['another type', () => post(`${columns.url}/predict`, '{}', { 'content-type': 'text/plain' }), 415],
    ['a time without its unit', () => post(`${columns.url}/predict`, { features: right }, { timeout: '5' }), 400],
    ['too short a time', () => post(`${columns.url}/predict`, { features: right }, { timeout: '1us' }), 503],
    ['too large a body', () => post(`${columns.url}/predict`, ' '.repeat(10_001)), 413],
  ])('%s', async (_what, ask, status) => {
    const reply = await ask()
    expect(reply.status).toBe(status)
    expect(reader.answerFault('/predict', 'post', reply)).toBeUndefined()
  })
})

test('law: a row fits the schema if and only if the server answers it', async () => {
  const value = fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: -5, max: 5 }) },
    { weight: 3, arbitrary: fc.constantFrom<unknown>('Lima', 'x', '', 1.5, 1e39, -1e300, 2 ** 53, 2 ** 53 - 1, '\0') },
    fc.constantFrom<unknown>(null, true, [], {}, [1]),
  )
  const texts = fc.oneof({ weight: 4, arbitrary: fc.constantFrom('Lima', 'Oslo') }, value)
  const byPlace = fc
    .tuple(value, value, value, texts)
    .chain((row) => fc.constantFrom<unknown[]>(row, row, row, row.slice(1), [...row, 1], []))
  const byName = fc.record({ age: value, amount: value, visits: value, city: texts }, { requiredKeys: ['age', 'city'] })
  const body = fc.record({ features: fc.oneof(byPlace, byName, value) }, { requiredKeys: [] })
  const seen = new Set<number>()
  await fc.assert(
    fc.asyncProperty(body, async (asked) => {
      const reply = await post(`${columns.url}/predict`, asked)
      seen.add(reply.status)
      expect(reply.status === 200).toBe(
        reader.requestFault('/predict', JSON.parse(JSON.stringify(asked))) === undefined,
      )
      expect(reader.answerFault('/predict', 'post', reply)).toBeUndefined()
    }),
    { numRuns: 300 },
  )
  expect([...seen].sort()).toEqual([200, 400, 422])
})

test('everything that can be read is as the document says', async () => {
  let read = 0
  for (const [path, operations] of Object.entries(reader.document.paths)) {
    const content = operations.get?.responses[200]
    if (content === undefined) continue
    read += 1
    const response = await fetch(columns.url + path)
    const [type] = Object.keys('content' in content ? (content.content ?? {}) : {})
    expect([path, response.status, response.headers.get('content-type')]).toEqual([
      path,
      200,
      expect.stringContaining(type ?? '?'),
    ])
    if (type !== 'application/json') continue
    expect([path, reader.answerFault(path, 'get', { status: 200, json: await response.json() })]).toEqual([
      path,
      undefined,
    ])
  }
  expect(read).toBeGreaterThan(15)
})

test('to describe the model is no request of a client: nothing is counted, and nothing observed', async () => {
  const server = await startTestServer('text_labels')
  try {
    await documentOf(server.url)
    expect((await get(`${server.url}/penstock/drift`)).json).toMatchObject({ seen: 0 })
    const metrics = await (await fetch(`${server.url}/metrics`)).text()
    expect(metrics).not.toMatch(/^ml_prediction_distribution.* [1-9]/m)
    expect(metrics).not.toMatch(/^ml_predictions_total.* [1-9]/m)
  } finally {
    await server.close()
  }
})

test('feedback fits its schema when the server takes it', async () => {
  const { headers, json } = await post(`${columns.url}/predict`, { features: right })
  const { prediction } = json as { prediction: unknown }
  const body = { id: headers.get('x-request-id'), label: prediction }
  const reply = await post(`${columns.url}/feedback`, body)
  expect([
    reply.status,
    reader.requestFault('/feedback', body),
    reader.answerFault('/feedback', 'post', reply),
  ]).toEqual([200, undefined, undefined])
})

test('before the model is loaded, programs are told to come again, and people see a page that does so', async () => {
  const { model: _model, examples: _examples, ...described } = describedModel({ name: 'x', modelName: '<m>' })
  const app = createApp({
    pages: openApiPages({ ...described, state: new ServingState() }),
    inferencePaths: new Map(),
    isClosing: () => false,
    onInternalError: () => undefined,
  })
  const server = createServer(app).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const reply = await get(`${url}/openapi.json`)
    expect(reply).toMatchObject({ status: 503, json: { error: { code: 'model_not_loaded' } } })
    expect(reply.headers.get('retry-after')).toBe('1')
    expect(reader.answerFault('/openapi.json', 'get', reply)).toBeUndefined()
    const page = await fetch(`${url}/docs`)
    expect([page.status, page.headers.get('content-type')]).toEqual([503, 'text/html; charset=utf-8'])
    const html = await page.text()
    expect(html).toContain('http-equiv="refresh"')
    expect(html).not.toContain('<m>')
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

test('a row of a hundred thousand features is described by its size, not one by one', async () => {
  const described = describedModel({ name: 'x' })
  const features = Array.from({ length: 100_000 }, (_, index) => ({ name: `f${index}`, datatype: 'FP32' as const }))
  const { signature } = described.model
  const document = openApiDocument({
    ...described,
    model: { ...described.model, signature: { ...(signature as object), features, featureCount: 100_000 } as never },
    examples: { rows: [] },
  }) as unknown as OpenApi
  expect(JSON.stringify(document).length).toBeLessThan(60_000)
  expect(await openApiFault(document)).toBeUndefined()
  const wide = new Reader(document)
  const row = Array<number>(100_000).fill(1)
  expect(wide.requestFault('/predict', { features: row })).toBeUndefined()
  expect(wide.requestFault('/predict', { features: row.slice(1) })).toBeDefined()
})

test('a server that wants tokens says for what, and what it answers without one', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'penstock-openapi-'))
  const tokenFile = join(dir, 'tokens')
  await writeFile(tokenFile, 'a-token-of-a-client\n')
  const server = await startTestServer('columns', { tokenFile })
  try {
    const authorization = { authorization: 'Bearer a-token-of-a-client' }
    const document = (await (await fetch(`${server.url}/openapi.json`, { headers: authorization })).json()) as OpenApi
    expect(await openApiFault(document)).toBeUndefined()
    const guarded = new Reader(document)
    for (const [path, operations] of Object.entries(document.paths)) {
      const method = operations.get === undefined ? 'post' : 'get'
      const response = await fetch(server.url + path, { method })
      const wantsToken = operations[method]?.security?.length === 1
      expect([path, response.status]).toEqual([path, wantsToken ? 401 : 200])
      if (!wantsToken) continue
      const answer = { status: 401, json: await response.json() }
      expect([path, guarded.answerFault(path, method, answer)]).toEqual([path, undefined])
    }
  } finally {
    await server.close()
    await rm(dir, { recursive: true })
  }
})

test('a server that wants certificates as well says so: both together', () => {
  const described = { ...describedModel({ name: 'age' }), tokenFile: 'tokens', tls: { clientCaFile: 'ca.crt' } }
  const { paths, components } = openApiDocument(described)
  expect(components['securitySchemes']).toMatchObject({
    bearer: { scheme: 'bearer' },
    certificate: { type: 'mutualTLS' },
  })
  expect(paths['/predict']).toMatchObject({ post: { security: [{ bearer: [], certificate: [] }] } })
  expect(paths['/metrics']).toMatchObject({ get: { security: [] } })
})

test('the limits are those of the server', () => {
  expect(reader.document['x-penstock']).toMatchObject({
    revision: 'own',
    limits: { rowsPerRequest: 5, bodyBytes: 10_000 },
  })
})
