import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { startServer } from '../serve/server.ts'
import { get, post, startTestServer, testOptions, type TestServer } from '../serve/testing.ts'
import { profileOf } from './profile-build.ts'
import { profileJson, type FeatureProfile } from './profile.ts'
import { DEFAULT_MONITORING } from './settings.ts'

const dir = mkdtempSync(join(tmpdir(), 'penstock-monitor-'))
afterAll(() => rmSync(dir, { recursive: true }))

function profilePath(name: string, features: readonly FeatureProfile[]): string {
  const path = join(dir, name)
  writeFileSync(path, profileJson({ rows: 100, features }))
  return path
}

const spread = Array.from({ length: 100 }, (_, index) => index / 100)
const cities = Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? 'Lima' : 'Oslo'))
const COLUMNS = profilePath('columns.json', [
  profileOf({ name: 'amount', cells: spread }),
  profileOf({ name: 'city', cells: cities }),
])
const monitoring = { ...DEFAULT_MONITORING, minRows: 10, profilePath: COLUMNS }

interface DriftJson {
  readonly seen: number
  readonly features: readonly { readonly name: string; readonly score: number; readonly drifted: boolean }[]
  readonly driftedShare?: number
  readonly quality: Readonly<Record<string, number>>
}

async function driftOf(server: TestServer): Promise<DriftJson> {
  return (await get(`${server.url}/penstock/drift`)).json as DriftJson
}

/** Rows with these amounts, as bytes: the only way to send NaN. */
function inferBinary({ url }: TestServer, amounts: readonly number[]): Promise<Response> {
  const shape = [amounts.length, 1]
  const bytes = Buffer.from(Float32Array.from(amounts).buffer)
  const inputs = [
    { name: 'age', datatype: 'FP32', shape, data: amounts.map(() => 30) },
    { name: 'amount', datatype: 'FP32', shape, parameters: { binary_data_size: bytes.length } },
    { name: 'visits', datatype: 'INT64', shape, data: amounts.map(() => 1) },
    { name: 'city', datatype: 'BYTES', shape, data: amounts.map((_, row) => cities[row % 100]) },
  ]
  const head = Buffer.from(JSON.stringify({ inputs, parameters: { binary_data_output: true } }))
  const headers = { 'inference-header-content-length': String(head.length) }
  return fetch(`${url}/v2/models/m/infer`, { method: 'POST', headers, body: Buffer.concat([head, bytes]) })
}

describe('a monitored server', () => {
  let server: TestServer
  beforeEach(async () => (server = await startTestServer('columns', { monitoring })))
  afterEach(() => server.close())

  const like = (count: number) =>
    Array.from({ length: count }, (_, row) => [30, ((row * 97) % 100) / 100, 1, cities[row % 100]])
  const unlike = (count: number) => Array.from({ length: count }, () => [30, 7, 1, 'Pune'])

  test('finds no drift in requests like the reference, and all of it in others', async () => {
    await post(`${server.url}/predict/batch`, { instances: like(100) })
    const { features, driftedShare } = await driftOf(server)
    expect(features.map(({ drifted }) => drifted)).toEqual([false, false])
    expect(driftedShare).toBe(0)
    const other = await startTestServer('columns', { monitoring })
    try {
      await post(`${other.url}/predict/batch`, { instances: unlike(50) })
      expect((await driftOf(other)).driftedShare).toBe(1)
    } finally {
      await other.close()
    }
  })

  test('says nothing about drift from a handful of rows', async () => {
    await post(`${server.url}/predict/batch`, { instances: unlike(9) })
    expect(await driftOf(server)).toMatchObject({ seen: 9, features: [] })
    const metrics = await (await fetch(`${server.url}/metrics`)).text()
    expect(metrics).not.toMatch(/^ml_feature_drift_score\{/m)
    expect(metrics).not.toMatch(/^penstock_dataset_drift_share /m)
    expect(metrics).not.toMatch(/^ml_accuracy \d/m)
  })

  test('sees requests in tensors as well', async () => {
    const column = (name: string, datatype: string, data: unknown[]) => ({
      name,
      datatype,
      shape: [data.length, 1],
      data,
    })
    const rows = unlike(20)
    const inputs = [
      column(
        'age',
        'FP32',
        rows.map((row) => row[0]),
      ),
      column(
        'amount',
        'FP32',
        rows.map((row) => row[1]),
      ),
      column(
        'visits',
        'INT64',
        rows.map((row) => row[2]),
      ),
      column(
        'city',
        'BYTES',
        rows.map((row) => row[3]),
      ),
    ]
    const reply = await post(`${server.url}/v2/models/m/infer`, { inputs })
    expect(reply.status).toBe(200)
    expect(await driftOf(server)).toMatchObject({ seen: 20, driftedShare: 1 })
    const id = reply.headers.get('x-request-id')
    const labels = rows.map(() => 1)
    expect((await post(`${server.url}/feedback`, { id, labels })).json).toEqual({ id, counted: 20 })
  })

  test('leaves out what is missing in tensors, and tells its share', async () => {
    const amounts = Array.from({ length: 40 }, (_, row) => [NaN, Infinity, ((row * 97) % 100) / 100, 0.5][row % 4] ?? 0)
    const reply = await inferBinary(server, amounts)
    expect(reply.status).toBe(200)
    const { features } = await driftOf(server)
    expect(features[0]).toMatchObject({ name: 'amount', missing: 0.5, method: 'wasserstein' })
    expect(features[1]).toMatchObject({ name: 'city', missing: 0 })
    const metrics = await (await fetch(`${server.url}/metrics`)).text()
    expect(metrics).toMatch(/^penstock_feature_missing_share\{feature="amount"\} 0\.5$/m)
    expect(metrics).toMatch(/^ml_feature_drift_score\{feature="amount"\} [\d.]+$/m)
    expect((await fetch(`${server.url}/report`)).status).toBe(200)
  })

  test('a feature of which every value is missing has drifted, without a score', async () => {
    await inferBinary(server, Array<number>(20).fill(NaN))
    expect((await driftOf(server)).features[0]).toEqual({
      ...{ name: 'amount', kind: 'numeric', method: 'wasserstein', drifted: true, missing: 1, measures: {} },
    })
    const metrics = await (await fetch(`${server.url}/metrics`)).text()
    expect(metrics).not.toMatch(/^ml_feature_drift_score\{feature="amount"\}/m)
    expect(await (await fetch(`${server.url}/report`)).text()).toContain('every value is missing')
  })

  test('does not count rows that it refused', async () => {
    await post(`${server.url}/predict`, { features: [1, 2, 3] })
    expect((await driftOf(server)).seen).toBe(0)
  })

  test('shows a report that neither loads nor runs anything', async () => {
    await post(`${server.url}/predict/batch`, { instances: unlike(50) })
    const response = await fetch(`${server.url}/report`)
    const html = await response.text()
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
    expect(response.headers.get('content-type')).toContain('text/html')
    expect(html).toContain('<svg')
    expect(html).toContain('drifted')
    expect(html).not.toMatch(/<script|<link|<img|src=|href=|url\(|@import/)
  })

  describe('given feedback', () => {
    async function ask(headers: Record<string, string> = {}): Promise<{ id: string; prediction: number }> {
      const reply = await post(`${server.url}/predict`, { features: [30, 0.5, 1, 'Lima'] }, headers)
      return { id: reply.headers.get('x-request-id') ?? '', ...(reply.json as { prediction: number }) }
    }

    const tell = (body: unknown) => post(`${server.url}/feedback`, body)

    test('knows its accuracy', async () => {
      for (const right of [true, true, true, false]) {
        const { id, prediction } = await ask()
        expect((await tell({ id, label: right ? prediction : 1 - prediction })).json).toEqual({ id, counted: 1 })
      }
      const metrics = await (await fetch(`${server.url}/metrics`)).text()
      expect(metrics).toContain('\nml_accuracy 0.75\n')
      expect(metrics).toContain('penstock_feedback_total{result="correct"} 3')
      expect(metrics).toContain('penstock_feedback_total{result="wrong"} 1')
      expect((await driftOf(server)).quality).toMatchObject({ count: 4, accuracy: 0.75 })
    })

    test('counts an answer once, and takes ids that clients chose', async () => {
      const { id, prediction } = await ask({ 'x-request-id': 'order-17' })
      expect(id).toBe('order-17')
      expect((await tell({ id, label: prediction })).json).toMatchObject({ counted: 1 })
      expect((await tell({ id, label: prediction })).json).toMatchObject({ counted: 0 })
      expect((await driftOf(server)).quality['count']).toBe(1)
    })

    test('counts what another pod of the revision answered, when it is told what that was', async () => {
      const { id, prediction } = await ask()
      const elsewhere = id.replace(/-[^-]+-/, '-otherpod-')
      expect((await tell({ id: elsewhere, label: prediction })).status).toBe(404)
      expect((await tell({ id: elsewhere, label: prediction, prediction })).json).toMatchObject({ counted: 1 })
      expect((await tell({ id: elsewhere, label: 1 - prediction, prediction })).json).toMatchObject({ counted: 0 })
      expect((await driftOf(server)).quality['count']).toBe(1)
      for (const invented of [`${elsewhere}-1`, `${elsewhere}${'0'.repeat(100)}`])
        expect((await tell({ id: invented, label: prediction, prediction })).status).toBe(404)
      const foreign = elsewhere.replace(/^[^-]+/, '00000000')
      expect((await tell({ id: foreign, label: prediction, prediction })).status).toBe(404)
    })

    test('says which field is wrong', async () => {
      const { id } = await ask()
      const wrong: [unknown, number, string | undefined][] = [
        [[], 400, undefined],
        [{ id }, 400, 'label'],
        [{ label: 1 }, 400, 'id'],
        [{ id, label: 1, labels: [1] }, 400, 'label'],
        [{ id, lable: 1 }, 400, 'lable'],
        [{ id, label: 2 }, 422, 'label'],
        [{ id, label: '1' }, 422, 'label'],
        [{ id, label: null }, 422, 'label'],
        [{ id, labels: [1, 0] }, 422, 'labels'],
        [{ id, labels: [7] }, 422, 'labels[0]'],
        [{ id, labels: 'x' }, 422, 'labels'],
        [{ id: 'unheard-of', label: 1 }, 404, 'id'],
        ['{"id":', 400, undefined],
      ]
      for (const [body, status, field] of wrong) {
        const reply = await tell(body)
        const { error } = reply.json as { error: { field?: string; message: string } }
        expect([body, reply.status, error.field]).toEqual([body, status, field])
        expect(error.message.length).toBeGreaterThan(10)
      }
      expect((await tell({ id, label: 1 })).json).toMatchObject({ counted: 1 })
    })
  })
})

test('a regression is judged by its errors', async () => {
  const server = await startTestServer('doubles')
  try {
    const reply = await post(`${server.url}/predict/batch`, { instances: [Array(6).fill(0.5), Array(6).fill(1)] })
    const [first = 0, second = 0] = (reply.json as { predictions: number[] }).predictions
    const id = reply.headers.get('x-request-id')
    expect((await post(`${server.url}/feedback`, { id, labels: [first + 3, second - 4] })).status).toBe(200)
    const { quality } = await driftOf(server)
    expect(quality['count']).toBe(2)
    expect(quality['meanAbsoluteError']).toBeCloseTo(3.5, 9)
    expect(quality['rootMeanSquaredError']).toBeCloseTo(Math.sqrt(12.5), 9)
    expect((await post(`${server.url}/feedback`, { id, label: 'much' })).status).toBe(422)
  } finally {
    await server.close()
  }
})

describe('a profile that does not fit', () => {
  test.each<[string, () => string, string]>([
    ['is not there', () => join(dir, 'gone.json'), 'cannot be read'],
    [
      'has a foreign feature',
      () => profilePath('f.json', [profileOf({ name: 'x<y', cells: [1] })]),
      '"x<y" is no feature',
    ],
    ['has text as numbers', () => profilePath('t.json', [profileOf({ name: 'city', cells: [1] })]), 'is numeric, but'],
  ])('stops the server with a reason: it %s', async (_, path, message) => {
    const start = async () => {
      const server = await startServer(testOptions('columns', { monitoring: { ...monitoring, profilePath: path() } }))
      await server.ready.finally(() => server.close())
    }
    await expect(start()).rejects.toThrow(message)
  })
})
