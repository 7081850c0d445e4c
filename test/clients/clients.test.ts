/** The clients that people have, against the server that they get. What is right was computed by Python's ONNX Runtime beforehand. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { modelPath, startTestServer, type TestServer } from '../../server-image/serve/testing.ts'

interface TensorJson {
  readonly datatype: string
  readonly shape: readonly number[]
  readonly data: readonly (number | string | boolean)[]
}
type TensorsJson = Readonly<Record<string, TensorJson>>
interface Case {
  readonly inputs: TensorsJson
  readonly outputs: TensorsJson
}

const python = process.env['PENSTOCK_CLIENTS_PYTHON'] ?? 'python3'
const expected = JSON.parse(readFileSync(join(modelPath('mlp20'), '../expected.json'), 'utf8')) as Readonly<
  Record<string, Case>
>

/** Models whose outputs are tensors in the file itself, so that their names and shapes are nobody's choice. */
const MODELS = [
  'mlp20',
  'every_datatype',
  'columns',
  'strings',
  'doubles',
  'integers',
  'dynamic_image',
  'forest20_no_zipmap',
]
const GRPC_CLIENTS = ['triton_grpc', 'triton_grpc_gzip', 'triton_grpc_async', 'grpc_contents']
const HTTP_CLIENTS = ['triton_http', 'triton_http_json', 'triton_http_default', 'triton_http_async', 'open_inference']

function ask(client: string, address: string, inputs: TensorsJson): Promise<TensorsJson> {
  return new Promise((resolve, reject) => {
    const script = join(import.meta.dirname, 'ask.py')
    const child = execFile(python, ['-W', 'ignore', script, client, address, 'm'], (error, stdout, stderr) => {
      if (error === null) resolve(JSON.parse(stdout) as TensorsJson)
      else reject(new Error(`${client}: ${stderr.slice(-2_000)}`))
    })
    child.stdin?.end(JSON.stringify(inputs))
  })
}

function expectSame(actual: TensorsJson, wanted: TensorsJson): void {
  expect(Object.keys(actual).sort()).toEqual(Object.keys(wanted).sort())
  for (const [name, tensor] of Object.entries(wanted)) {
    const { datatype, shape, data = [] } = actual[name] ?? {}
    expect([name, datatype, shape]).toEqual([name, tensor.datatype, tensor.shape])
    tensor.data.forEach((value, index) => {
      if (typeof value === 'number') expect(Number(data[index])).toBeCloseTo(value, 4)
      else expect([name, index, data[index]]).toEqual([name, index, value])
    })
  }
}

/** That client makes a double of every number, so it has no way to send the longest integers; the server refuses what lost its digits. */
function withoutLongIntegers(model: string): Case {
  const short = (_key: string, value: unknown) => (typeof value === 'string' && /^-?\d{16,}$/.test(value) ? '5' : value)
  return JSON.parse(JSON.stringify(expected[model]), short) as Case
}

describe.each(MODELS)('the model %s', (model) => {
  let server: TestServer
  beforeAll(async () => (server = await startTestServer(model, { grpcPort: 0 })))
  afterAll(() => server.close())

  test.each(HTTP_CLIENTS)('answers %s', async (client) => {
    const { inputs, outputs } = client === 'open_inference' ? withoutLongIntegers(model) : (expected[model] as Case)
    expectSame(await ask(client, server.address, inputs), outputs)
  })

  // Half-precision floats have no typed contents in the protocol.
  const clients =
    model === 'every_datatype' ? GRPC_CLIENTS.filter((client) => client !== 'grpc_contents') : GRPC_CLIENTS
  test.each(clients)('answers %s', async (client) => {
    const { inputs, outputs } = expected[model] as Case
    expectSame(await ask(client, `127.0.0.1:${server.grpcPort}`, inputs), outputs)
  })
})

describe('curl', () => {
  const curl = promisify(execFile)
  let server: TestServer
  beforeAll(async () => (server = await startTestServer('mlp_classifier')))
  afterAll(() => server.close())

  test('gets a prediction from one line, as the page of the server shows it', async () => {
    const { stdout } = await curl('curl', [
      '--silent',
      '--show-error',
      '--fail',
      `${server.url}/predict`,
      '--json',
      '{"features": [1, 2, 3, 4]}',
    ])
    expect(JSON.parse(stdout)).toMatchObject({ prediction: expect.anything() as unknown })
  })
})
