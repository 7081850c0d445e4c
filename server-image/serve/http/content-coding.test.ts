import { deflateSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { get, post, startTestServer, type TestServer } from '../testing.ts'

const KIB = 1024
const row = Array.from({ length: 20 }, (_, index) => index / 10)
const body = JSON.stringify({ features: row })
let server: TestServer

beforeAll(async () => {
  server = await startTestServer('mlp20', { maxBodyBytes: 64 * KIB, maxInflightBodyBytes: 128 * KIB })
})

afterAll(() => server.close())

const send = (bytes: Uint8Array, encoding: string, path = '/predict') =>
  post(server.url + path, bytes, { 'content-encoding': encoding })

/** All the room that there is, in two bodies. */
async function hasAllItsRoom(): Promise<boolean> {
  const replies = await Promise.all([0, 1].map(() => post(`${server.url}/predict`, body.padEnd(64 * KIB))))
  return replies.every(({ status }) => status === 200)
}

describe('a coded body', () => {
  test.each<[string, (text: string) => Uint8Array]>([
    ['gzip', gzipSync],
    ['GZIP', gzipSync],
    ['deflate', deflateSync],
  ])('by %s is answered as it would be without', async (encoding, encode) => {
    const { prediction } = (await post(`${server.url}/predict`, body)).json as { prediction: number }
    expect(await send(encode(body), encoding)).toMatchObject({ status: 200, json: { prediction } })
    const inputs = [{ name: 'x', shape: [1, 20], datatype: 'FP32', data: row }]
    expect(await send(encode(JSON.stringify({ inputs })), encoding, '/v2/models/m/infer')).toMatchObject({
      status: 200,
    })
    expect(await hasAllItsRoom()).toBe(true)
  })

  test.each<[string, Uint8Array, string, number]>([
    ['becomes larger than a body may be', gzipSync(Buffer.alloc(50_000_000)), 'gzip', 413],
    ['is not what it says', Buffer.from(body), 'gzip', 400],
    ['is cut', gzipSync(body).subarray(0, 40), 'gzip', 400],
    ['has a coding that is not known', gzipSync(body), 'br', 415],
    ['has two codings', gzipSync(gzipSync(body)), 'gzip, gzip', 415],
  ])('that %s is refused, and leaves nothing taken', async (_what, bytes, encoding, status) => {
    expect((await send(bytes, encoding)).status).toBe(status)
    expect(await hasAllItsRoom()).toBe(true)
    expect((await get(`${server.url}/readyz`)).status).toBe(200)
  })
})
