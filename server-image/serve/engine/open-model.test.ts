import { afterEach, describe, expect, test } from '@jest/globals'
import { modelPath, post, startTestServer, type TestServer } from '../testing.ts'
import { openModel } from './open-model.ts'
import type { OpenOptions } from './opened-model.ts'

const row = Array.from({ length: 20 }, (_, index) => index / 10)
const options = (model: string, changes: Partial<OpenOptions> = {}): OpenOptions => ({
  path: modelPath(model),
  warmUpRuns: 1,
  runtime: {},
  thread: 'always',
  runLimitMs: 60_000,
  onLost: (error) => {
    throw error
  },
  ...changes,
})

test('a model with data beside it is loaded once, on a thread of its own, however small its file', async () => {
  const opened = await openModel(options('external', { thread: 'auto' }))
  await opened.close()
  expect(opened.isOnThread).toBe(true)
})

describe('a model on a thread of its own', () => {
  test.each(['every_datatype', 'forest20', 'text_labels'])(
    'says the same of itself and answers the same: %s',
    async (name) => {
      const here = await openModel(options(name, { thread: 'never' }))
      const there = await openModel(options(name))
      try {
        expect([here.isOnThread, there.isOnThread]).toEqual([false, true])
        const { sha256, sizeBytes, contract, signature, notes } = here.facts
        expect(there.facts).toEqual({ sha256, sizeBytes, contract, signature, notes })
        const feeds = Object.fromEntries(
          contract.inputs.map(({ name: input, datatype, shape }) => {
            const size = shape.map((dimension) => Math.max(1, dimension))
            const count = size.reduce((product, dimension) => product * dimension, 1)
            return [input, { datatype, shape: size, data: dataOf(datatype, count) }]
          }),
        ) as never
        expect(await there.engine.run(feeds)).toEqual(await here.engine.run(feeds))
      } finally {
        await there.close()
      }
    },
  )

  test('that fails on some input says why, and goes on', async () => {
    const opened = await openModel(options('mlp20'))
    const { engine } = opened
    try {
      const bad = { x: { datatype: 'FP32', shape: [1, 3], data: new Float32Array(3) } } as const
      await expect(engine.run(bad)).rejects.toThrow(/dimension/)
      const good = { x: { datatype: 'FP32', shape: [1, 20], data: Float32Array.from(row) } } as const
      expect(await engine.run(good)).toHaveProperty('scores')
    } finally {
      await opened.close()
    }
  })

  test('that is no model is refused with its reason', async () => {
    await expect(openModel(options('nothing-there'))).rejects.toMatchObject({ name: 'ModelError', reason: 'NotFound' })
    await expect(openModel(options('custom_operator'))).rejects.toMatchObject({ name: 'ModelError' })
  })

  test('that is closed answers nobody, and says so', async () => {
    const opened = await openModel(options('mlp20'))
    await opened.close()
    await expect(opened.engine.run({})).rejects.toThrow(/ended/)
  })
})

function dataOf(datatype: string, count: number) {
  switch (datatype) {
    case 'BYTES':
      return Array.from({ length: count }, () => 'a')
    case 'INT64':
      return new BigInt64Array(count)
    case 'UINT64':
      return new BigUint64Array(count)
    default:
      return new ARRAYS[datatype as keyof typeof ARRAYS](count)
  }
}

const ARRAYS = {
  FP16: Float16Array,
  FP32: Float32Array,
  FP64: Float64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  BOOL: Uint8Array,
} as const

describe('a server whose model has a thread', () => {
  let server: TestServer | undefined
  afterEach(() => server?.close())

  test('answers as one without, and says what a model cannot do', async () => {
    server = await startTestServer('mlp_classifier', { thread: 'always' })
    const here = await startTestServer('mlp_classifier', { thread: 'never' })
    const asked = await Promise.all([server, here].map(({ url }) => post(`${url}/predict`, { features: row })))
    await here.close()
    const [there, wanted] = asked.map(({ status, json }) => [status, { ...(json as object), latency_ms: 0 }])
    expect(there).toEqual(wanted)
    expect((await post(`${server.url}/predict`, { features: [1] })).status).toBe(422)
  })
})
