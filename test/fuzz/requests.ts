/** Hostile requests: almost right bodies, wrong framing, and garbage, as raw bytes for one connection. */
import type { Random } from './random.ts'

export interface Attack {
  readonly kind: string
  readonly bytes: Buffer
  /** The client closes its side in the middle. */
  readonly leavesEarly: boolean
}

const PATHS = [
  '/predict',
  '/predict/batch',
  '/feedback',
  '/v2/models/m/infer',
  '/v2/models/m/versions/7/infer',
  '/v2/models/m',
  '/v2/models/../m/infer',
  '/v2/models/%00/infer',
  '/%ff',
  '/metrics',
  '/penstock/evidence',
  '/__proto__',
  '/constructor',
  '//predict',
  '*',
]
const INFERENCE_PATHS = PATHS.slice(0, 5)
const METHODS = [
  'POST',
  'POST',
  'POST',
  'POST',
  'GET',
  'HEAD',
  'PUT',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'CONNECT',
  'PRI',
  'post',
]
const HEADERS = [
  'content-type: application/json',
  'content-type: text/plain',
  'content-type: application/octet-stream',
  'content-encoding: gzip',
  'transfer-encoding: chunked',
  'transfer-encoding: gzip, chunked',
  'transfer-encoding: identity',
  'expect: 100-continue',
  'expect: nonsense',
  'connection: close',
  'connection: upgrade\r\nupgrade: h2c',
  'inference-header-content-length: 10',
  'inference-header-content-length: -1',
  'inference-header-content-length: 99999999999999999999',
  'x-penstock-relayed: 1',
  'x-request-id: \u00e9',
  'x-request-id: a\tb',
  'content-length: 5\r\ncontent-length: 6',
  'content-length: 0x10',
  'content-length: -5',
  'range: bytes=0-',
  'x: ' + 'y'.repeat(20_000),
  ': empty',
  'bad header',
]

const NAMES = [
  'features',
  'instances',
  'inputs',
  'outputs',
  'parameters',
  'id',
  '__proto__',
  'constructor',
  'data',
  'shape',
]

function scalar(random: Random): string {
  return random.pick([
    () => String(random.below(1000) / 7),
    () => '1e999',
    () => random.pick(['3.4e38', '-3.4e38', '1e-45']),
    () => '-0',
    () => 'NaN',
    () => '99999999999999999999999999',
    () => 'null',
    () => 'true',
    () => '""',
    () => '"\\u0000"',
    () => '"\\ud800"',
    () => JSON.stringify(random.bytes(random.below(20)).toString('latin1')),
    () => '{}',
    () => '[]',
    () => '[[[[[[]]]]]]',
  ])()
}

function numbers(random: Random, length: number): string {
  return `[${Array.from({ length }, () => (random.chance(0.03) ? scalar(random) : String(random.next()))).join()}]`
}

function tensor(random: Random): string {
  const rows = random.pick([0, 1, 1, 1, 2, -1, 1e9, 2 ** 53])
  const members = [
    `"name":${random.chance(0.9) ? '"x"' : scalar(random)}`,
    `"shape":${random.chance(0.9) ? `[${rows},20]` : scalar(random)}`,
    `"datatype":${random.chance(0.9) ? '"FP32"' : random.pick(['"BYTES"', '"FP16"', 'null', '"__proto__"'])}`,
    random.chance(0.8)
      ? `"data":${numbers(random, 20)}`
      : `"parameters":{"binary_data_size":${random.pick(['80', '-1', '1e9', '"80"', 'null'])}}`,
  ]
  return `{${members.filter(() => random.chance(0.97)).join()}}`
}

function json(random: Random): string {
  return random.pick([
    () => `{"features":${numbers(random, random.pick([20, 20, 20, 0, 19, 21]))}}`,
    () => `{"instances":[${Array.from({ length: random.below(5) }, () => numbers(random, 20)).join()}]}`,
    () => `{"inputs":[${Array.from({ length: random.below(3) }, () => tensor(random)).join()}]}`,
    () => `{"inputs":[${tensor(random)}],"outputs":[{"name":${scalar(random)}}],"id":${scalar(random)}}`,
    () => `{"id":${scalar(random)},"label":${scalar(random)},"prediction":${scalar(random)}}`,
    () => `{"${random.pick(NAMES)}":${scalar(random)},"${random.pick(NAMES)}":${scalar(random)}}`,
    () => '['.repeat(random.below(5000)),
    () => `{"features":${'{"a":'.repeat(random.below(200))}`,
    () => scalar(random),
  ])()
}

/** Changes some bytes of what is right. */
function mutated(random: Random, bytes: Buffer): Buffer {
  const changed = Buffer.from(bytes)
  for (let times = random.below(4); times > 0 && changed.length > 0; times -= 1)
    changed[random.below(changed.length)] = random.below(256)
  return random.chance(0.1) ? changed.subarray(0, random.below(changed.length + 1)) : changed
}

function framed(random: Random, body: Buffer): Buffer {
  const length = random.chance(0.9) ? body.length : random.pick([body.length + 1, 0, 1e12])
  const isOdd = random.chance(0.4)
  const headers = isOdd ? Array.from({ length: random.below(3) }, () => random.pick(HEADERS)) : []
  const head = [
    `${isOdd ? random.pick(METHODS) : 'POST'} ${isOdd ? random.pick(PATHS) : random.pick(INFERENCE_PATHS)} HTTP/1.${random.pick(['1', '1', '1', '0', '9'])}`,
    'host: x',
    ...(random.chance(0.95) ? [`content-length: ${length}`] : []),
    ...headers,
  ]
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), body])
}

function chunked(random: Random, body: Buffer): Buffer {
  const size = random.pick([
    body.length.toString(16),
    'ffffffffffffffff',
    '-1',
    'zz',
    '0',
    '1;ext="' + 'a'.repeat(9000),
  ])
  const head = `POST ${random.pick(PATHS)} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${size}\r\n`
  return Buffer.concat([Buffer.from(head), body, Buffer.from(random.pick(['\r\n0\r\n\r\n', '', '\r\n']))])
}

export function attack(random: Random): Attack {
  const body = random.chance(0.7) ? Buffer.from(json(random)) : mutated(random, Buffer.from(json(random)))
  const [kind, bytes] = random.pick([
    () => ['framed', framed(random, body)] as const,
    () => ['framed', framed(random, body)] as const,
    () => ['framed', framed(random, body)] as const,
    () => ['chunked', chunked(random, body)] as const,
    () => ['mutated', mutated(random, framed(random, body))] as const,
    () => ['pipelined', Buffer.concat([framed(random, body), framed(random, body), framed(random, body)])] as const,
    () => ['garbage', random.bytes(random.below(500))] as const,
  ])()
  return { kind, bytes, leavesEarly: random.chance(0.05) }
}
