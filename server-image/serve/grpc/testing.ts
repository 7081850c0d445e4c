/** For tests only: a server with gRPC, its clients, and calls frame by frame. */
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2'
import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf'
import { ConnectError, createClient, type Client } from '@connectrpc/connect'
import { createGrpcTransport } from '@connectrpc/connect-node'
import { EVIDENCE_PATH, type Evidence } from '../../../protocol/evidence.ts'
import type { ServerOptions } from '../server-options.ts'
import { get, startTestServer, type TestServer } from '../testing.ts'
import { GRPCInferenceService, ModelInferRequestSchema } from './generated/open_inference_pb.js'

const closers: (() => unknown)[] = []
/** Ends what the tests have begun. */
export async function closeAll(): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close()
}

/** @param close what is to be done at the end of the test */
export function atEnd(close: () => unknown): void {
  closers.push(close)
}

export async function serverWith(model: string, changes: Partial<ServerOptions> = {}): Promise<TestServer> {
  const server = await startTestServer(model, { grpcPort: 0, ...changes })
  closers.push(() => server.close())
  return server
}

export const transportTo = ({ grpcPort }: Pick<TestServer, 'grpcPort'>) =>
  createGrpcTransport({ baseUrl: `http://127.0.0.1:${grpcPort}` })

export const clientOf = (server: TestServer): Client<typeof GRPCInferenceService> =>
  createClient(GRPCInferenceService, transportTo(server))

export const row = Array.from({ length: 20 }, (_, index) => index / 10)
export const x = { name: 'x', datatype: 'FP32', shape: [1n, 20n], contents: { fp32Contents: row } }
export type Ask = MessageInitShape<typeof ModelInferRequestSchema>
export const question = (changes: Ask = {}): Ask => ({ modelName: 'm', inputs: [x], ...changes })

export const evidenceOf = async ({ url }: TestServer) => (await get(url + EVIDENCE_PATH)).json as Evidence

export async function failure(promise: Promise<unknown>): Promise<ConnectError> {
  return promise.then(
    () => {
      throw new Error('It did not fail.')
    },
    (error: unknown) => ConnectError.from(error),
  )
}

export const message = toBinary(ModelInferRequestSchema, create(ModelInferRequestSchema, question()))

export function framed(bytes: Uint8Array, length = bytes.length, flag = 0): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt8(flag)
  head.writeUInt32BE(length, 1)
  return Buffer.concat([head, bytes])
}

/** A message of one input with these contents. */
export function nested(contents: Uint8Array): Uint8Array {
  const length = (bytes: number) =>
    Uint8Array.of((bytes & 0x7f) | 0x80, ((bytes >> 7) & 0x7f) | 0x80, ((bytes >> 14) & 0x7f) | 0x80, bytes >> 21)
  const input = Buffer.concat([Uint8Array.of(0x2a), length(contents.length), contents])
  return Buffer.concat([Uint8Array.of(0x2a), length(input.length), input])
}

export function sessionTo({ grpcPort }: TestServer): ClientHttp2Session {
  const client = connectHttp2(`http://127.0.0.1:${grpcPort}`)
  client.on('error', () => undefined)
  closers.push(() => client.destroy())
  return client
}

/** A call whose body is still to be written; `status` is the gRPC status, or why there is none. */
export function callOn(client: ClientHttp2Session, headers: Record<string, string> = {}) {
  const stream = client.request({
    ':method': 'POST',
    ':path': '/inference.GRPCInferenceService/ModelInfer',
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  })
  let status = ''
  const take = (from: Record<string, unknown>) =>
    (status ||= String(from['grpc-status'] ?? (from[':status'] === 200 ? '' : from[':status'])))
  stream
    .on('response', take)
    .on('trailers', take)
    .on('error', () => undefined)
    .resume()
  const ended = new Promise<string>((resolve) =>
    stream.on('close', () => resolve(status === '' ? `closed with ${stream.rstCode}` : status)),
  )
  return { stream, status: ended }
}

export function call(server: TestServer, body: Uint8Array, headers: Record<string, string> = {}): Promise<string> {
  const { stream, status } = callOn(sessionTo(server), headers)
  stream.end(body)
  return status
}
