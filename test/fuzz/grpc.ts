/** Hostile gRPC calls: almost right messages in frames that may lie, over real HTTP/2; and what is no HTTP/2 at all. */
import { create, toBinary } from '@bufbuild/protobuf'
import { once } from 'node:events'
import { connect as connectHttp2, constants, type ClientHttp2Session, type OutgoingHttpHeaders } from 'node:http2'
import { connect } from 'node:net'
import { ModelInferRequestSchema } from '../../server-image/serve/grpc/generated/open_inference_pb.js'
import { attackProgram, GRPC_PORT, HOST, type Campaign, type FuzzOptions } from './program.ts'
import type { Random } from './random.ts'

const STREAMS = 32
const PATIENCE_MS = 2_000
/** Status codes of faults of the server: UNKNOWN, INTERNAL, DATA_LOSS. */
const FAULT = /^grpc (2|13|15)\b/
/** Where INTERNAL is what gRPC itself says of a message that cannot be read, or is compressed when none may be ("Status codes and their use in gRPC"). */
const UNREADABLE = /^grpc 13: (parse binary: |received compressed envelope)/

const SERVICE = '/inference.GRPCInferenceService'
const PATHS = [
  ...Array.from({ length: 6 }, () => `${SERVICE}/ModelInfer`),
  `${SERVICE}/ModelMetadata`,
  `${SERVICE}/ServerReady`,
  `${SERVICE}/Nothing`,
  '/grpc.health.v1.Health/Check',
  '/grpc.health.v1.Health/Watch',
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  '/',
  '/%ff',
  '/__proto__/constructor',
]
const CONTENT_TYPES = [
  'application/grpc',
  'application/grpc',
  'application/grpc',
  'application/grpc+proto',
  'application/grpc+json',
  'text/plain',
]
const METADATA: readonly OutgoingHttpHeaders[] = [
  {},
  {},
  {},
  { 'grpc-timeout': '1S' },
  { 'grpc-timeout': '1n' },
  { 'grpc-timeout': '99999999H' },
  { 'grpc-timeout': '-1S' },
  { 'grpc-timeout': 'soon' },
  { 'grpc-encoding': 'gzip' },
  { 'grpc-encoding': 'nothing' },
  { 'x-bin': 'not base64 !' },
  { 'x-request-id': '__proto__' },
  { 'x-long': 'y'.repeat(12_000) },
  { 'inference-header-content-length': '5' },
  { timeout: '1us' },
]

interface Call {
  readonly headers: OutgoingHttpHeaders
  readonly bytes: Buffer
  /** How it leaves: it ends as calls do, resets its stream, or stays. */
  readonly leaving: 'end' | 'reset' | 'stay'
}

/** @returns what was found, one line each */
export function fuzzGrpc(options: FuzzOptions): Promise<string[]> {
  const make: Campaign['make'] = async (random, size, count) => {
    const batch = Array.from({ length: size }, () => callOf(random))
    const findings: string[] = []
    const judge = (call: Call, outcome: string) => {
      count(outcome.replace(/:.*/s, ''))
      if ((FAULT.test(outcome) && !UNREADABLE.test(outcome)) || outcome === 'nothing came')
        findings.push(`${outcome} for ${shown(call)}`)
    }
    await Promise.all([askAll(batch, judge), ...(random.chance(0.2) ? [sendRaw(garbage(random))] : [])])
    return findings
  }
  return attackProgram({ what: 'gRPC calls', atOnce: STREAMS, make }, options)
}

function callOf(random: Random): Call {
  const headers = {
    ':method': random.chance(0.95) ? 'POST' : 'GET',
    ':path': random.pick(PATHS),
    'content-type': random.pick(CONTENT_TYPES),
    ...(random.chance(0.9) && { te: 'trailers' }),
    ...random.pick(METADATA),
  }
  const frames = Array.from({ length: random.chance(0.9) ? 1 : random.below(4) }, () => frame(random))
  const leaving = random.chance(0.9) ? 'end' : random.pick(['reset', 'stay'] as const)
  return { headers, bytes: Buffer.concat(frames), leaving }
}

/** A message behind its five bytes, either of which may be wrong. */
function frame(random: Random): Buffer {
  // One in so many is larger than a message may be, though there is room for it.
  const message = random.chance(0.005) ? Buffer.alloc(1_500_000, 0x2a) : mutated(random, inferRequest(random))
  const head = Buffer.alloc(5)
  head[0] = random.chance(0.95) ? 0 : random.pick([1, 2, 128, 255])
  head.writeUInt32BE(
    random.chance(0.9) ? message.length : random.pick([0, 1, message.length + 1, 0x7fffffff, 0xffffffff]),
    1,
  )
  return Buffer.concat([head, message])
}

function inferRequest(random: Random): Buffer {
  const width = random.pick([20, 20, 20, 19, 0, 1000])
  const shape = random.pick([
    [1n, 20n],
    [1n, 20n],
    [1n, BigInt(width)],
    [-1n, 20n],
    [2n ** 62n, 20n],
    [],
    [1n, 20n, 1n],
  ])
  const isRaw = random.chance(0.5)
  const values = Array.from({ length: width }, () =>
    random.pick([0, 1, -1, NaN, Infinity, -Infinity, 3.4e38, -3.4e38, 1e-45]),
  )
  const message = create(ModelInferRequestSchema, {
    modelName: random.pick(['m', 'm', 'm', '', '../m', '__proto__']),
    modelVersion: random.pick(['', '7', '8']),
    id: random.pick(['', 'a', 'é', '__proto__']),
    inputs: Array.from({ length: random.pick([1, 1, 1, 0, 2, 50]) }, () => ({
      name: random.pick(['x', 'x', 'x', '', 'constructor']),
      datatype: random.pick(['FP32', 'FP32', 'FP32', 'INT64', 'BYTES', '', 'hasOwnProperty']),
      shape,
      ...(!isRaw && { contents: { fp32Contents: values } }),
    })),
    ...(isRaw && { rawInputContents: [Buffer.from(new Float32Array(values).buffer)] }),
    ...(random.chance(0.2) && { outputs: [{ name: random.pick(['scores', 'none', '']) }] }),
  })
  return Buffer.from(toBinary(ModelInferRequestSchema, message))
}

function mutated(random: Random, message: Buffer): Buffer {
  if (random.chance(0.3)) return message
  const at = random.below(message.length + 1)
  switch (random.below(6)) {
    case 0: {
      for (let flips = random.below(8); flips >= 0 && message.length > 0; flips -= 1)
        message[random.below(message.length)] = random.below(256)
      return message
    }
    case 1:
      return message.subarray(0, at)
    case 2:
      return Buffer.concat([message.subarray(0, at), random.bytes(random.below(40)), message.subarray(at)])
    case 3:
      // Fields of any number, groups that never end, and varints that are too long.
      return Buffer.concat([
        message,
        Buffer.alloc(1 + random.below(2000), random.pick([0x0b, 0x2a, 0xff, 0x80, 0x0a, 0x00])),
      ])
    case 4:
      return Buffer.concat(Array.from({ length: 1 + random.below(20) }, () => message))
    default:
      return random.bytes(random.below(300))
  }
}

async function askAll(calls: readonly Call[], onOutcome: (call: Call, outcome: string) => void): Promise<void> {
  const session = connectHttp2(`http://${HOST}:${GRPC_PORT}`)
  session.on('error', () => undefined)
  try {
    await Promise.all(calls.map(async (call) => onOutcome(call, await ask(session, call))))
  } finally {
    session.destroy()
  }
}

/** Its gRPC status, or what came instead. */
function ask(session: ClientHttp2Session, { headers, bytes, leaving }: Call): Promise<string> {
  return new Promise((resolve) => {
    if (session.closed || session.destroyed) return resolve('the session had ended')
    const stream = session.request(headers)
    let outcome = leaving === 'end' ? 'nothing came' : leaving
    const timer = setTimeout(() => stream.destroy(), PATIENCE_MS)
    const note = (received: OutgoingHttpHeaders) => {
      const status = received['grpc-status']
      if (status !== undefined)
        outcome = `grpc ${String(status)}: ${decodeURIComponent(String(received['grpc-message'] ?? ''))}`
      else if (received[':status'] !== 200) outcome = `http ${String(received[':status'])}`
      // A stream that answers many times is answered, however long it lasts.
      else if (outcome === 'nothing came') outcome = 'answers'
    }
    stream
      .on('response', note)
      .on('trailers', note)
      .on('data', () => undefined)
    stream.on(
      'error',
      (error: NodeJS.ErrnoException) => (outcome = outcome === 'nothing came' ? `reset: ${error.code ?? ''}` : outcome),
    )
    stream.on('close', () => {
      clearTimeout(timer)
      resolve(outcome)
    })
    stream.write(bytes)
    if (leaving === 'end') stream.end()
    else if (leaving === 'reset') setImmediate(() => stream.close(constants.NGHTTP2_CANCEL))
    else setTimeout(() => stream.destroy(), PATIENCE_MS / 10)
  })
}

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

function garbage(random: Random): Buffer {
  const frames = Array.from({ length: random.below(20) }, () => {
    const payload = random.bytes(random.below(100))
    const head = Buffer.alloc(9)
    head.writeUIntBE(random.chance(0.9) ? payload.length : random.below(2 ** 24), 0, 3)
    head[3] = random.below(12)
    head[4] = random.below(256)
    head.writeUInt32BE(random.below(8), 5)
    return Buffer.concat([head, payload])
  })
  return Buffer.concat([Buffer.from(random.chance(0.8) ? PREFACE : 'GET / HTTP/1.1\r\n\r\n'), ...frames])
}

/** Resolves when the server has closed the connection, or had time to. */
async function sendRaw(bytes: Buffer): Promise<void> {
  const socket = connect({ host: HOST, port: GRPC_PORT })
  socket.on('error', () => undefined).on('data', () => undefined)
  const timer = setTimeout(() => socket.destroy(), PATIENCE_MS / 10)
  socket.write(bytes)
  await once(socket, 'close').catch(() => undefined)
  clearTimeout(timer)
}

function shown({ headers, bytes }: Call): string {
  return `${JSON.stringify(headers).slice(0, 300)} ${bytes.toString('hex').slice(0, 800)}`
}
