import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import { get, post, startTestServer, type TestServer } from '../testing.ts'

let every: TestServer
let mlp: TestServer

beforeAll(async () => {
  every = await startTestServer('every_datatype')
  mlp = await startTestServer('mlp20', { modelName: 'fraud', modelVersion: '2024 (b)', maxInstances: 100 })
})

afterAll(async () => {
  await every.close()
  await mlp.close()
})

const row = Array.from({ length: 20 }, (_, index) => index / 10)
const input = { name: 'x', shape: [1, 20], datatype: 'FP32', data: row }
const infer = (body: unknown) => post(`${mlp.url}/v2/models/fraud/infer`, body)

interface InferJson {
  readonly outputs: readonly { name: string; datatype: string; shape: number[]; data: unknown[] }[]
}

describe('metadata', () => {
  test('tells of the server and of the model, with and without its version', async () => {
    expect((await get(`${mlp.url}/v2`)).json).toEqual({
      name: 'penstock',
      version: '0.0.0',
      extensions: ['binary_tensor_data'],
    })
    for (const path of ['/v2/models/fraud', '/v2/models/fraud/versions/2024%20%28b%29']) {
      expect([path, (await get(mlp.url + path)).json]).toMatchObject([
        path,
        {
          name: 'fraud',
          versions: ['2024 (b)'],
          inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 20] }],
          outputs: [{ name: 'scores', datatype: 'FP32', shape: [-1, 3] }],
          parameters: { revision: 'own' },
        },
      ])
      expect((await get(`${mlp.url}${path}/ready`)).json).toEqual({ ready: true })
    }
    expect((await get(`${mlp.url}/v2/health/live`)).json).toEqual({ live: true })
    expect((await get(`${mlp.url}/v2/health/ready`)).json).toEqual({ ready: true })
    const missing = await get(`${mlp.url}/v2/models/other`)
    expect(missing).toMatchObject({ status: 404, json: { code: 'not_found', error: expect.any(String) as unknown } })
  })
})

test('inputs with different numbers of rows are the client’s fault, and said so', async () => {
  const columns = await startTestServer('columns')
  try {
    const { json } = await get(`${columns.url}/v2/models/m`)
    const { inputs } = json as { inputs: { name: string; datatype: string }[] }
    const body = {
      inputs: inputs.map(({ name, datatype }, index) => {
        const rows = index === 0 ? 1 : 2
        const data = Array.from({ length: rows }, () => (datatype === 'BYTES' ? 'Oslo' : 1))
        return { name, datatype, shape: [rows, 1], data }
      }),
    }
    const reply = await post(`${columns.url}/v2/models/m/infer`, body)
    expect([reply.status, (reply.json as { field: string }).field]).toEqual([422, 'inputs'])
  } finally {
    await columns.close()
  }
})

describe('infer', () => {
  /** Extremes of every datatype, as they are written in JSON: each must come back with all its digits. */
  const extremes: [string, string, string][] = [
    ['f32', 'FP32', '[3.4028234663852886e+38,-1.401298464324817e-45]'],
    ['f64', 'FP64', '[1.7976931348623157e+308,-5e-324]'],
    ['f16', 'FP16', '[65504,-0.5]'],
    ['i8', 'INT8', '[127,-128]'],
    ['i16', 'INT16', '[32767,-32768]'],
    ['i32', 'INT32', '[2147483647,-2147483648]'],
    ['i64', 'INT64', '[9223372036854775807,-9223372036854775808]'],
    ['u8', 'UINT8', '[255,0]'],
    ['u16', 'UINT16', '[65535,0]'],
    ['u32', 'UINT32', '[4294967295,0]'],
    ['u64', 'UINT64', '[18446744073709551615,9007199254740993]'],
    ['bool', 'BOOL', '[true,false]'],
    ['text', 'BYTES', '["日本 \\"",""]'],
  ]

  function inputsJson(change?: { name: string; data: string }): string {
    const inputs = extremes.map(([name, datatype, data]) => {
      const values = change?.name === name ? change.data : data
      return `{"name":"${name}","shape":[1,2],"datatype":"${datatype}","data":${values}}`
    })
    return `{"inputs":[${inputs.join()}]}`
  }

  test('carries every datatype to the model and back without losing a digit', async () => {
    const response = await fetch(`${every.url}/v2/models/m/infer`, { method: 'POST', body: Buffer.from(inputsJson()) })
    const text = await response.text()
    expect(response.status).toBe(200)
    for (const [name, datatype, data] of extremes) {
      expect(text).toContain(`{"name":"${name}_out","datatype":"${datatype}","shape":[1,2],"data":${data}}`)
    }
  })

  test('reads exact integers, which takes long, only for a model that has such inputs', async () => {
    const parse = jest.spyOn(JSON, 'parse')
    try {
      const body = JSON.stringify({ inputs: [input] }).replace('1.9]', '9007199254740993]')
      const response = await fetch(`${mlp.url}/v2/models/fraud/infer`, { method: 'POST', body: Buffer.from(body) })
      expect([response.status, parse.mock.calls]).toEqual([200, [[body]]])
    } finally {
      parse.mockRestore()
    }
  })

  test.each([
    ['f32', '[1e39, 0]', 'data[0]'],
    ['f32', '[1, "1"]', 'data[1]'],
    ['f32', '[1, null]', 'data[1]'],
    ['f16', '[65536, 0]', 'data[0]'],
    ['f64', '[1e309, 0]', 'data[0]'],
    ['i8', '[128, 0]', 'data[0]'],
    ['i32', '[0, 0.5]', 'data[1]'],
    ['i64', '[9223372036854775808, 0]', 'data[0]'],
    ['u64', '[-1, 0]', 'data[0]'],
    ['u64', '[18446744073709551616, 0]', 'data[0]'],
    ['u8', '[true, 0]', 'data[0]'],
    ['bool', '[2, true]', 'data[0]'],
    ['text', '["a", 1]', 'data[1]'],
    ['text', '["a", "b\\u0000c"]', 'data[1]'],
    ['u16', '[[1, -1]]', 'data[0][1]'],
    ['u16', '[[1], [1]]', 'data'],
    ['u16', '[1, 2, 3]', 'data'],
    ['u16', '5', 'data'],
  ])('refuses %s data %s, naming the element', async (name, data, field) => {
    const { status, json } = await post(`${every.url}/v2/models/m/infer`, inputsJson({ name, data }))
    const index = extremes.findIndex(([each]) => each === name)
    expect([status, json]).toEqual([
      422,
      { error: expect.any(String) as unknown, code: 'invalid_input', field: `inputs[${index}].${field}` },
    ])
  })

  test('answers with the id and only the outputs that were asked for, data flat or nested', async () => {
    const flat = await infer({
      id: 'abc',
      inputs: [input],
      outputs: [{ name: 'scores', parameters: { binary_data: false } }],
    })
    const nested = await infer({
      id: 'abc',
      parameters: { priority: 1 },
      inputs: [{ ...input, data: [row], parameters: {} }],
    })
    expect(flat.json).toEqual(nested.json)
    expect(flat.json).toMatchObject({ model_name: 'fraud', model_version: '2024 (b)', id: 'abc' })
    expect((flat.json as InferJson).outputs).toMatchObject([{ name: 'scores', datatype: 'FP32', shape: [1, 3] }])
  })

  test.each([
    ['"inputs":[],"inputs":', 'inputs'],
    ['"parameters":{"a":{"b":1,"b":2}},"inputs":', 'parameters.a.b'],
    ['"id":"a","\\u0069d":"b","inputs":', 'id'],
    ['"outputs":[{"name":"scores","name":"scores"}],"inputs":', 'outputs[0].name'],
  ])('refuses a name that comes twice, of which parsing would keep the last: %s', async (text, field) => {
    const body = `{${text}${JSON.stringify([input])}}`
    const { status, json } = await infer(body)
    expect([status, json]).toMatchObject([400, { field, error: `The member "${field}" is given twice; send it once.` }])
  })

  test('is called by the id in its body, unless a header calls it something else', async () => {
    const calledBy = async (id: string, headers = {}) =>
      (await post(`${mlp.url}/v2/models/fraud/infer`, { id, inputs: [input] }, headers)).headers.get('x-request-id')
    expect(await calledBy('order-7')).toBe('order-7')
    expect(await calledBy('order-7', { 'x-request-id': 'trace-8' })).toBe('trace-8')
    for (const none of ['', 'two words', 'x'.repeat(129)]) expect(await calledBy(none)).toMatch(/^[\da-f]{8}-/)
    const told = await post(`${mlp.url}/feedback`, { id: 'order-7', label: 1 })
    expect(told).toMatchObject({ status: 200, json: { id: 'order-7', counted: 1 } })
  })

  test.each<[string, object]>([
    ['outputs[0].parameters.classification', { outputs: [{ name: 'scores', parameters: { classification: 2 } }] }],
    [
      'outputs[0].parameters.shared_memory_region',
      { outputs: [{ name: 'scores', parameters: { shared_memory_region: 'r', shared_memory_byte_size: 12 } }] },
    ],
    [
      'inputs[0].parameters.shared_memory_byte_size',
      { inputs: [{ ...input, parameters: { shared_memory_byte_size: 80 } }] },
    ],
  ])('does not pass over an extension that it does not have: %s', async (field, changes) => {
    expect(await infer({ inputs: [input], ...changes })).toMatchObject({
      status: 400,
      json: { code: 'invalid_request', field, error: expect.stringContaining(field) as unknown },
    })
    const harmless = { parameters: { priority: 1 }, inputs: [{ ...input, parameters: { mine: true } }] }
    expect((await infer(harmless)).status).toBe(200)
  })

  test('agrees with /predict', async () => {
    const [output] = ((await infer({ inputs: [input] })).json as InferJson).outputs
    const { json } = await post(`${mlp.url}/predict`, { features: row })
    expect(Math.max(...(output?.data as number[]))).toBeCloseTo((json as { probability: number }).probability, 6)
  })

  test.each<[unknown, string | undefined]>([
    [[], undefined],
    [{}, 'inputs'],
    [{ inputs: [] }, 'inputs'],
    [{ inputs: [input], extra: 1 }, 'extra'],
    [{ inputs: [input], id: 5 }, 'id'],
    [{ inputs: [input], parameters: [] }, 'parameters'],
    [{ inputs: [input, input] }, 'inputs[1].name'],
    [{ inputs: [{ ...input, name: 'y' }] }, 'inputs[0].name'],
    [{ inputs: [{ ...input, name: undefined }] }, 'inputs[0].name'],
    [{ inputs: [{ ...input, name: '__proto__' }] }, 'inputs[0].name'],
    [{ inputs: [{ ...input, datatype: 'FP64' }] }, 'inputs[0].datatype'],
    [{ inputs: [{ ...input, shape: [20] }] }, 'inputs[0].shape'],
    [{ inputs: [{ ...input, shape: [1, 19] }] }, 'inputs[0].shape'],
    [{ inputs: [{ ...input, shape: [0, 20], data: [] }] }, 'inputs[0].shape'],
    [{ inputs: [{ ...input, shape: [-1, 20] }] }, 'inputs[0].shape'],
    [{ inputs: [{ ...input, shape: [1.5, 20] }] }, 'inputs[0].shape'],
    [{ inputs: [{ ...input, shape: [101, 20] }] }, 'inputs[0].shape'],
    [{ inputs: [{ ...input, shape: [2, 20] }] }, 'inputs[0].data'],
    [{ inputs: [{ ...input, data: undefined }] }, 'inputs[0].data'],
    [{ inputs: [{ ...input, color: 1 }] }, 'inputs[0].color'],
    [{ inputs: [input], outputs: [{ name: 'z' }] }, 'outputs[0].name'],
    [{ inputs: [input], outputs: [{ name: 'scores' }, { name: 'scores' }] }, 'outputs'],
    [{ inputs: [input], outputs: 'scores' }, 'outputs'],
  ])('refuses %j, naming %s', async (body, field) => {
    const { status, json } = await infer(body)
    expect(status === 400 || status === 422).toBe(true)
    expect(json).toMatchObject({ error: expect.any(String) as unknown, ...(field !== undefined && { field }) })
  })
})
