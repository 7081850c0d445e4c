import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { post, startTestServer, type TestServer } from './testing.ts'

let server: TestServer
beforeAll(async () => (server = await startTestServer('mlp20')))
afterAll(() => server.close())

const row = Array.from({ length: 20 }, (_, index) => index / 10)
const tensors = { inputs: [{ name: 'x', shape: [1, 20], datatype: 'FP32', data: row }] }
const V2 = '/v2/models/m/infer'

async function outcome(path: string, body: object, headers: Record<string, string> = {}): Promise<unknown[]> {
  const reply = await post(server.url + path, body, headers)
  const { field, error } = reply.json as { field?: string; error?: { field?: string } }
  return [reply.status, field ?? error?.field]
}

describe('the time that a client has', () => {
  test.each(['1us', '60000ms', '300s', '24000s'])('may be %s by header', async (timeout) => {
    const wanted = timeout === '1us' ? [503, undefined] : [200, undefined]
    expect(await outcome('/predict', { features: row }, { timeout })).toEqual(wanted)
    expect(await outcome('/predict/batch', { instances: [row] }, { timeout })).toEqual(wanted)
    expect(await outcome('/v1/models/m:predict', { instances: [row] }, { timeout })).toEqual(wanted)
    expect(await outcome(V2, tensors, { timeout })).toEqual(wanted)
  })

  test.each(['', '5', '0ms', '-1s', '1m', '1.5s', '2 s', 'NaNms', '999999999999s'])(
    'is refused by name when the header is "%s"',
    async (timeout) => {
      expect(await outcome('/predict', { features: row }, { timeout })).toEqual([400, 'timeout'])
      expect(await outcome(V2, tensors, { timeout })).toEqual([400, 'timeout'])
    },
  )

  test.each([
    [0, [200, undefined]],
    [60_000_000, [200, undefined]],
    [1, [503, undefined]],
    ['1', [400, 'parameters.timeout']],
    [-1, [400, 'parameters.timeout']],
    [1.5, [400, 'parameters.timeout']],
    [1e15, [400, 'parameters.timeout']],
    [null, [400, 'parameters.timeout']],
  ])('in microseconds by V2 parameter: %p', async (timeout, wanted) => {
    expect(await outcome(V2, { ...tensors, parameters: { timeout } })).toEqual(wanted)
  })

  test('is the shorter of the two', async () => {
    expect(await outcome(V2, { ...tensors, parameters: { timeout: 1 } }, { timeout: '300s' })).toEqual([503, undefined])
    expect(await outcome(V2, { ...tensors, parameters: { timeout: 3e8 } }, { timeout: '1us' })).toEqual([
      503,
      undefined,
    ])
  })
})
