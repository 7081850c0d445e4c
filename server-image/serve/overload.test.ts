import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { RELAYED_HEADER } from '../../protocol/headers.ts'
import { Hold } from './hold.ts'
import { get, post, startTestServer, type TestServer } from './testing.ts'

/** Loop rounds of the model: a quarter of a second of a quick machine. */
const LONG = { features: [300_000] }

describe('a server whose queue is full', () => {
  let server: TestServer
  beforeAll(async () => {
    const batching = { maxRows: 1, maxDelayMs: 0, maxQueuedRows: 1, deadlineMs: 60_000 }
    server = await startTestServer('rounds', { batching, thread: 'always' })
  })
  afterAll(() => server.close())

  /** One is computed, and one waits. */
  async function filled(): Promise<Promise<unknown>[]> {
    const busy = [post(`${server.url}/predict`, LONG)]
    while (!/^penstock_batch_rows_count\S* [1-9]/m.test(await metrics())) await new Promise(setImmediate)
    busy.push(post(`${server.url}/predict`, LONG))
    while (!(await metrics()).includes('penstock_queue_depth 1')) await new Promise(setImmediate)
    return busy
  }

  async function metrics(): Promise<string> {
    return (await fetch(`${server.url}/metrics`)).text()
  }

  test('refuses others with 429 and the time to come back, and one that a pod relays before one of a client', async () => {
    const busy = await filled()
    const order: string[] = []
    const ask = async (who: string, headers: Record<string, string>) => {
      const reply = await post(`${server.url}/predict`, LONG, headers)
      order.push(who)
      return reply
    }
    const replies = await Promise.all([ask('client', {}), ask('pod', { [RELAYED_HEADER]: 'own' })])
    for (const { status, headers, json } of replies) {
      expect([status, json]).toMatchObject([429, { error: { code: 'overloaded' } }])
      expect(headers.get('retry-after')).toBe('1')
    }
    expect(order).toEqual(['pod', 'client'])
    expect((await get(`${server.url}/livez`)).status).toBe(200)
    await Promise.all(busy)
  })
})

describe('a refusal that is held', () => {
  test('waits no longer than it may', async () => {
    const hold = new Hold()
    const order: string[] = []
    await Promise.all([
      hold.wait(Infinity, 0).then(() => order.push('as long as any')),
      hold.wait(10, 0).then(() => order.push('a quarter of its time')),
    ])
    expect(order).toEqual(['a quarter of its time', 'as long as any'])
  })

  test('does not wait where those who do hold much memory, until they are gone', async () => {
    const hold = new Hold()
    const first = hold.wait(Infinity, 5 * 1024 * 1024)
    const order: string[] = []
    await Promise.all([
      first.then(() => order.push('first')),
      hold.wait(Infinity, 5 * 1024 * 1024).then(() => order.push('second')),
    ])
    expect(order).toEqual(['second', 'first'])
    const waits = hold.wait(1, 5 * 1024 * 1024).then(() => 'waits')
    expect(await Promise.race([waits, Promise.resolve('told')])).toBe('told')
    await waits
  })
})
