/** The clients that people have, against the server that they get. What is right was computed by Python's ONNX Runtime beforehand. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { makeAuthority } from '../../operator/kube/test-certificates.ts'
import { modelPath, startTestServer, type TestServer } from '../../server-image/serve/testing.ts'
import { forServer, mountSecret, type MountedSecret, type Pair } from '../../server-image/serve/tls/testing.ts'

interface TensorJson {
  readonly datatype: string
  readonly shape: readonly number[]
  readonly data: readonly (number | string | boolean)[]
}
interface Outcome {
  readonly answered: number
  readonly failed: readonly string[]
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
  'torch',
  'forest20_no_zipmap',
]
const GRPC_CLIENTS = ['triton_grpc', 'triton_grpc_async', 'grpc_contents']
const HTTP_CLIENTS = ['triton_http', 'triton_http_json', 'triton_http_default', 'triton_http_async', 'open_inference']

/**
 * @param options.onWord told once the client says anything before its result
 * @param options.certificates folder of those that the client has
 */
function ask<Result = TensorsJson>(
  client: string,
  address: string,
  inputs: TensorsJson,
  { onWord, certificates }: { readonly onWord?: () => void; readonly certificates?: string } = {},
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const script = join(import.meta.dirname, 'ask.py')
    const env = { ...process.env, ...(certificates !== undefined && { PENSTOCK_CERTIFICATES: certificates }) }
    const child = execFile(python, ['-W', 'ignore', script, client, address, 'm'], { env }, (error, stdout, stderr) => {
      if (error === null) resolve(JSON.parse(stdout) as Result)
      else reject(new Error(`${client}: ${stderr.slice(-2_000)}`))
    })
    if (onWord !== undefined) child.stderr?.once('data', onWord)
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

describe('a server that leaves', () => {
  /** As a Service: connections stay where they are, new ones go to whoever it names now. */
  async function service(target: () => number): Promise<{ readonly port: number; close(): void }> {
    const server = createServer((socket) => {
      const upstream = connect(target(), '127.0.0.1')
      for (const [from, to] of [
        [socket, upstream],
        [upstream, socket],
      ] as const) {
        from.on('error', () => to.destroy()).on('close', () => to.destroy())
        from.pipe(to)
      }
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return { port: (server.address() as AddressInfo).port, close: () => void server.close() }
  }

  test('loses no call of a gRPC client, which goes to its successor by itself', async () => {
    const drain = { graceMs: 500, limitMs: 20_000 }
    const leaving = await startTestServer('mlp20', { grpcPort: 0, drain })
    const successor = await startTestServer('mlp20', { grpcPort: 0, revision: 'next' })
    let target = leaving.grpcPort ?? 0
    const front = await service(() => target)
    let drained: Promise<boolean> | undefined
    try {
      const { inputs } = expected['mlp20'] as Case
      const moveOn = () => {
        target = successor.grpcPort ?? 0
        drained = leaving.drain()
      }
      const outcome = await ask<Outcome>('triton_grpc_loop', `127.0.0.1:${front.port}`, inputs, { onWord: moveOn })
      expect(outcome.failed).toEqual([])
      expect(outcome.answered).toBeGreaterThan(100)
      expect(await drained).toBe(true)
      const metrics = await (await fetch(`${successor.url}/metrics`)).text()
      expect(metrics).toMatch(/ml_predictions_total\{endpoint="grpc_infer",status="success"\} [1-9]/)
    } finally {
      front.close()
      await successor.close()
      await (drained ?? leaving.close())
    }
  })
})

const curl = promisify(execFile)

describe('a server with TLS, to which clients show certificates', () => {
  const { inputs, outputs } = expected['mlp20'] as Case
  const secrets: MountedSecret[] = []
  let server: TestServer
  let certificates: string
  let strangers: string

  beforeAll(async () => {
    const [authority, another] = await Promise.all([makeAuthority(), makeAuthority('another-ca')])
    const mount = async (pair: Promise<Pair>) => {
      const secret = mountSecret(await pair, authority.certificate)
      secrets.push(secret)
      return secret
    }
    const own = await mount(forServer(authority))
    certificates = (await mount(authority.issue('client.shop'))).dir
    strangers = (await mount(another.issue('client.shop'))).dir
    server = await startTestServer('mlp20', { grpcPort: 0, tls: { ...own.files, clientCaFile: own.clientCaFile } })
  })

  afterAll(async () => {
    await server.close()
    for (const secret of secrets) secret.remove()
  })

  test.each(['triton_http_tls', 'triton_grpc_tls'])('answers %s that has one, and no other', async (client) => {
    const address = client === 'triton_grpc_tls' ? `127.0.0.1:${server.grpcPort}` : server.address
    expectSame(await ask(client, address, inputs, { certificates }), outputs)
    const refused = ask(client, address, inputs, { certificates: strangers })
    await expect(refused).rejects.toThrow(/client certificate of this connection is not accepted/)
  })

  test('answers curl', async () => {
    const [cert, key, ca] = ['tls.crt', 'tls.key', 'ca.crt'].map((name) => join(certificates, name))
    const files = ['--cert', cert, '--key', key, '--cacert', ca] as string[]
    const row = JSON.stringify({ features: inputs['x']?.data.slice(0, 20) })
    const { stdout } = await curl('curl', ['-sSf', ...files, `https://${server.address}/predict`, '--json', row])
    expect(JSON.parse(stdout)).toMatchObject({ prediction: expect.anything() as unknown })
  })
})

describe('curl', () => {
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
