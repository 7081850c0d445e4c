import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { post, startTestServer, type TestServer } from '../testing.ts'
import { bytesOfTensor, HEADER_LENGTH } from './binary-data.ts'

let every: TestServer
let mlp: TestServer

beforeAll(async () => {
  every = await startTestServer('every_datatype')
  mlp = await startTestServer('mlp20')
})

afterAll(async () => {
  await every.close()
  await mlp.close()
})

interface Output {
  readonly name: string
  readonly datatype: string
  readonly shape: readonly number[]
  readonly data?: readonly unknown[]
  readonly parameters?: { readonly binary_data_size: number }
}

interface Reply {
  readonly status: number
  readonly type: string | null
  readonly json: { readonly outputs: readonly Output[]; readonly error?: string; readonly field?: string }
  readonly behind: Buffer
}

async function ask(server: TestServer, header: object, behind: Buffer, length?: string): Promise<Reply> {
  const json = Buffer.from(JSON.stringify(header))
  const response = await fetch(`${server.url}/v2/models/m/infer`, {
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream', [HEADER_LENGTH]: length ?? String(json.length) },
    body: Buffer.concat([json, behind]),
  })
  const body = Buffer.from(await response.arrayBuffer())
  const end = Number(response.headers.get(HEADER_LENGTH) ?? body.length)
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    json: JSON.parse(body.subarray(0, end).toString()) as Reply['json'],
    behind: body.subarray(end),
  }
}

const bytesOf = (array: Exclude<ArrayBufferView, DataView>) =>
  Buffer.from(array.buffer as ArrayBuffer, array.byteOffset, array.byteLength)
const text = (...values: string[]) =>
  Buffer.concat(
    values.flatMap((value) => {
      const bytes = Buffer.from(value)
      return [bytesOf(new Uint32Array([bytes.length])), bytes]
    }),
  )

test('the bytes of a tensor are its own alone, also where its array is a part of larger memory', () => {
  const data = Float32Array.of(1, 2, 3, 4).subarray(1, 3)
  expect(bytesOfTensor({ datatype: 'FP32', shape: [2], data })).toEqual(bytesOf(Float32Array.of(2, 3)))
})

/** Extremes of every datatype, NaN and infinity among them. */
const tensors: [string, string, Buffer][] = [
  ['f32', 'FP32', bytesOf(new Float32Array([NaN, -Infinity]))],
  ['f64', 'FP64', bytesOf(new Float64Array([-5e-324, Number.MAX_VALUE]))],
  ['f16', 'FP16', bytesOf(new Float16Array([65504, -0.5]))],
  ['i8', 'INT8', bytesOf(new Int8Array([127, -128]))],
  ['i16', 'INT16', bytesOf(new Int16Array([32767, -32768]))],
  ['i32', 'INT32', bytesOf(new Int32Array([2147483647, -2147483648]))],
  ['i64', 'INT64', bytesOf(new BigInt64Array([2n ** 63n - 1n, -(2n ** 63n)]))],
  ['u8', 'UINT8', bytesOf(new Uint8Array([255, 0]))],
  ['u16', 'UINT16', bytesOf(new Uint16Array([65535, 0]))],
  ['u32', 'UINT32', bytesOf(new Uint32Array([4294967295, 0]))],
  ['u64', 'UINT64', bytesOf(new BigUint64Array([2n ** 64n - 1n, 0n]))],
  ['bool', 'BOOL', Buffer.from([1, 0])],
  ['text', 'BYTES', text('日本 "', '')],
]
const inputs = tensors.map(([name, datatype, bytes]) => ({
  name,
  datatype,
  shape: [1, 2],
  parameters: { binary_data_size: bytes.length },
}))
const behind = Buffer.concat(tensors.map(([, , bytes]) => bytes))

describe('tensors as bytes', () => {
  test('come back as they were sent, for every datatype', async () => {
    const reply = await ask(every, { inputs, parameters: { binary_data_output: true } }, behind)
    expect([reply.status, reply.type]).toEqual([200, 'application/octet-stream'])
    const sizes = reply.json.outputs.map((output) => output.parameters?.binary_data_size ?? NaN)
    expect(reply.behind.length).toBe(sizes.reduce((sum, size) => sum + size, 0))
    let at = 0
    const came = new Map(
      reply.json.outputs.map(({ name }, index) => [name, reply.behind.subarray(at, (at += sizes[index] ?? NaN))]),
    )
    for (const [name, , bytes] of tensors) expect([name, came.get(`${name}_out`)]).toEqual([name, bytes])
  })

  test('mix with JSON, in the request and in the answer', async () => {
    const mixed = inputs.map((input) =>
      input.name === 'i8' ? { name: 'i8', datatype: 'INT8', shape: [1, 2], data: [1, 2] } : input,
    )
    const without = Buffer.concat(tensors.filter(([name]) => name !== 'i8').map(([, , bytes]) => bytes))
    const outputs = [{ name: 'i8_out' }, { name: 'i16_out', parameters: { binary_data: true } }]
    const reply = await ask(every, { inputs: mixed, outputs }, without)
    expect(reply.json.outputs).toMatchObject([{ data: [1, 2] }, { parameters: { binary_data_size: 4 } }])
    expect(reply.behind).toEqual(bytesOf(new Int16Array([32767, -32768])))
  })

  test.each(['never', 'always'] as const)(
    'are those of their own request, however many with the same JSON come at once; a thread of its own: %s',
    async (thread) => {
      const server = await startTestServer('mlp20', { thread })
      try {
        const head = { inputs: [{ name: 'x', shape: [1, 20], datatype: 'FP32', parameters: { binary_data_size: 80 } }] }
        const rows = Array.from({ length: 64 }, (_, index) => Array.from({ length: 20 }, (_, at) => (index * at) / 100))
        const together = await Promise.all(rows.map((row) => ask(server, head, bytesOf(new Float32Array(row)))))
        for (const [index, { json }] of together.entries()) {
          const inputs = [{ name: 'x', shape: [1, 20], datatype: 'FP32', data: rows[index] }]
          const alone = await post(`${server.url}/v2/models/m/infer`, { inputs })
          const [wanted] = (alone.json as { outputs: { data: number[] }[] }).outputs
          expect(json.outputs[0]?.data).toEqual(wanted?.data.map((value) => expect.closeTo(value, 5)))
        }
      } finally {
        await server.close()
      }
    },
  )

  test('of one request never share memory with the next', async () => {
    const one = { name: 'x', datatype: 'FP32', shape: [1, 20], parameters: { binary_data_size: 80 } }
    const rows = Array.from({ length: 20 }, (_, index) => new Float32Array(20).fill(index))
    const header = { inputs: [one], parameters: { binary_data_output: true } }
    const apart: Buffer[] = []
    for (const row of rows) apart.push((await ask(mlp, header, bytesOf(row))).behind)
    const together = await Promise.all(rows.map((row) => ask(mlp, header, bytesOf(row))))
    const values = (bytes: Buffer) => [...new Float32Array(new Uint8Array(bytes).buffer)]
    together.forEach(({ behind: bytes }, index) => {
      const wanted = values(apart[index] ?? Buffer.alloc(0))
      values(bytes).forEach((value, at) => expect(value).toBeCloseTo(wanted[at] ?? NaN, 4))
    })
  })
})

describe('bytes that do not fit', () => {
  const x = (size: unknown, more: object = {}) => ({
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 20], parameters: { binary_data_size: size }, ...more }],
  })

  test.each<[string, object, number, RegExp]>([
    ['too few of them', x(80), 40, /only 40 bytes of the body are left/],
    ['more than are named', x(80), 84, /4 bytes of the body belong to no input/],
    ['a size that is not the shape’s', x(76), 76, /must have 80 bytes, 4 for each of 20 elements of FP32, got 76/],
    ['a negative size', x(-1), 0, /must be a whole number of bytes/],
    ['a size that is text', x('80'), 80, /must be a whole number of bytes/],
    ['data beside them', x(80, { data: [] }), 80, /both data and parameters.binary_data_size/],
    ['a flag that is none', { ...x(80), parameters: { binary_data_output: 1 } }, 80, /must be true or false/],
  ])('%s: an error that says what is wrong', async (_kind, header, size, message) => {
    const reply = await ask(mlp, header, Buffer.alloc(size))
    expect(reply.status).toBeGreaterThanOrEqual(400)
    expect(reply.status).toBeLessThan(500)
    expect(reply.json.error).toMatch(message)
  })

  test.each([['-1'], ['1e3'], ['99999'], ['x']])('%s as the length of the header: 400', async (length) => {
    const reply = await ask(mlp, x(80), Buffer.alloc(80), length)
    expect([reply.status, reply.json.field]).toEqual([400, HEADER_LENGTH])
  })

  test.each<[string, Buffer]>([
    ['cut within a length', Buffer.from([1, 0])],
    ['cut within an element', Buffer.from([9, 0, 0, 0, 65])],
    ['of too few elements', text('a')],
    ['of too many elements', text('a', 'b', 'c')],
    ['that are no UTF-8', Buffer.concat([Buffer.from([1, 0, 0, 0, 0xff]), text('a')])],
    ['with U+0000', text('a\0b', 'c')],
  ])('texts %s: 422 with the name of the input', async (_kind, bytes) => {
    const changed = inputs.map((input) =>
      input.name === 'text' ? { ...input, parameters: { binary_data_size: bytes.length } } : input,
    )
    const all = Buffer.concat([...tensors.slice(0, -1).map(([, , part]) => part), bytes])
    const reply = await ask(every, { inputs: changed }, all)
    expect([reply.status, reply.json.field]).toEqual([422, `inputs[${inputs.length - 1}]`])
  })

  test('a BOOL that is neither 0 nor 1: 422', async () => {
    const all = Buffer.from(behind)
    all[behind.indexOf(Buffer.from([1, 0]), behind.length - text('日本 "', '').length - 2)] = 2
    expect((await ask(every, { inputs }, all)).status).toBe(422)
  })
})
