import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from '@jest/globals'
import { fromBinary } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import { Code, createClient } from '@connectrpc/connect'
import { REVISION_HEADER } from '../../../protocol/headers.ts'
import { startServer } from '../server.ts'
import { eventually, startTestServer, testOptions } from '../testing.ts'
import { Health, HealthCheckResponse_ServingStatus as Status } from './generated/grpc/health/v1/health_pb.js'
import { ServerReflection } from './generated/grpc/reflection/v1/reflection_pb.js'
import { GRPCInferenceService } from './generated/open_inference_pb.js'

import {
  atEnd,
  callOn,
  clientOf,
  closeAll,
  evidenceOf,
  failure,
  framed,
  message,
  question,
  row,
  serverWith,
  sessionTo,
  transportTo,
  x,
  type Ask,
} from './testing.ts'

afterEach(closeAll)

describe('ModelInfer', () => {
  test('answers in the form that it was asked in, like REST, and names the revision', async () => {
    const server = await serverWith('mlp20')
    const rest = await fetch(`${server.url}/v2/models/m/infer`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ inputs: [{ name: 'x', datatype: 'FP32', shape: [1, 20], data: row }] }),
    })
    const { outputs } = (await rest.json()) as { outputs: { data: number[] }[] }
    const headers = new Headers()
    const typed = await clientOf(server).modelInfer(question({ id: '7' }), {
      onHeader: (each) => each.forEach((value, name) => headers.set(name, value)),
    })
    expect(typed.id).toBe('7')
    expect(headers.get(REVISION_HEADER)).toBe('own')
    expect(headers.get('x-request-id')).toBeTruthy()
    expect(typed.outputs[0]?.shape).toEqual([1n, 3n])
    typed.outputs[0]?.contents?.fp32Contents.forEach((value, index) =>
      expect(value).toBeCloseTo(outputs[0]?.data[index] ?? NaN, 5),
    )
    const { contents: _typed, ...bare } = x
    const raw = await clientOf(server).modelInfer(
      question({ inputs: [bare], rawInputContents: [new Uint8Array(Float32Array.from(row).buffer)] }),
    )
    expect(raw.outputs[0]?.contents).toBeUndefined()
    const bytes = raw.rawOutputContents[0] ?? new Uint8Array()
    expect([...new Float32Array(bytes.slice().buffer)]).toEqual([
      ...Float32Array.from(typed.outputs[0]?.contents?.fp32Contents ?? []),
    ])
    expect(await (await fetch(`${server.url}/metrics`)).text()).toContain(
      'ml_predictions_total{endpoint="grpc_infer",status="success"} 2',
    )
  })

  const { contents: _contents, ...bare } = x
  test.each<[string, Ask, Code, RegExp]>([
    ['another model', { modelName: 'other' }, Code.NotFound, /no model other; this server has m, version 7/],
    ['another version', { modelVersion: '8' }, Code.NotFound, /no model m, version 8/],
    ['no input', { inputs: [] }, Code.InvalidArgument, /Input x is missing/],
    ['an unknown input', { inputs: [{ ...x, name: 'y' }] }, Code.InvalidArgument, /inputs\[0\]\.name/],
    [
      'a wrong datatype',
      { inputs: [{ ...x, datatype: 'INT8', contents: { intContents: Array<number>(20).fill(1) } }] },
      Code.InvalidArgument,
      /inputs\[0\]\.datatype must be FP32/,
    ],
    [
      'a strange datatype',
      { inputs: [{ ...x, datatype: '__proto__' }] },
      Code.InvalidArgument,
      /cannot hold __proto__/,
    ],
    [
      'half-precision in contents',
      { inputs: [{ ...x, datatype: 'FP16' }] },
      Code.InvalidArgument,
      /send it in raw_input_contents/,
    ],
    [
      'a wrong shape',
      { inputs: [{ ...x, shape: [1n, 19n] }] },
      Code.InvalidArgument,
      /must have 19 elements for shape \[1,19\], got 20/,
    ],
    ['a negative shape', { inputs: [{ ...x, shape: [-1n, 20n] }] }, Code.InvalidArgument, /got 20/],
    [
      'a shape beyond all numbers',
      { inputs: [{ ...bare, shape: [2n ** 62n, 20n] }], rawInputContents: [new Uint8Array(80)] },
      Code.InvalidArgument,
      /inputs\[0\]\.shape must be/,
    ],
    [
      'elements of another type',
      { inputs: [{ ...x, contents: { fp64Contents: row } }] },
      Code.InvalidArgument,
      /fp32_contents must have 20 elements .* got 0/,
    ],
    [
      'raw bytes of another size',
      { inputs: [bare], rawInputContents: [new Uint8Array(3)] },
      Code.InvalidArgument,
      /must have 80 bytes/,
    ],
    [
      'too few raw elements',
      { inputs: [bare, bare], rawInputContents: [new Uint8Array(80)] },
      Code.InvalidArgument,
      /one element for each of the 2 inputs, got 1/,
    ],
    [
      'both forms at once',
      { rawInputContents: [new Uint8Array(80)] },
      Code.InvalidArgument,
      /contents beside raw_input_contents/,
    ],
    ['an unknown output', { outputs: [{ name: 'z' }] }, Code.InvalidArgument, /outputs\[0\]\.name must be one of/],
    [
      'a strange timeout',
      { parameters: { timeout: { parameterChoice: { case: 'stringParam', value: 'soon' } } } },
      Code.InvalidArgument,
      /parameters\.timeout/,
    ],
    [
      'no time',
      { parameters: { timeout: { parameterChoice: { case: 'int64Param', value: 1n } } } },
      Code.DeadlineExceeded,
      /no answer within/,
    ],
    ['too much', { inputs: [bare], rawInputContents: [new Uint8Array(5 * 1024 * 1024)] }, Code.ResourceExhausted, /./],
  ])('says what is wrong with %s', async (_title, changes, code, message) => {
    const server = await serverWith('mlp20')
    const error = await failure(clientOf(server).modelInfer(question(changes)))
    expect([Code[error.code], error.rawMessage]).toEqual([Code[code], expect.stringMatching(message)])
    expect((await clientOf(server).modelInfer(question())).outputs).toHaveLength(1)
  })

  test('refuses integers that do not fit, and text that is none', async () => {
    const every = await serverWith('every_datatype')
    const metadata = await clientOf(every).modelMetadata({ name: 'm' })
    expect(metadata.inputs.find(({ name }) => name === 'i8')).toMatchObject({ datatype: 'INT8' })
    const ask = (input: object) =>
      failure(clientOf(every).modelInfer(question({ inputs: [{ shape: [1n, 1n], ...input }] })))
    expect((await ask({ name: 'i8', datatype: 'INT8', contents: { intContents: [300] } })).rawMessage).toMatch(
      /int_contents\[0\] is 300, which is no INT8/,
    )
    expect((await ask({ name: 'u16', datatype: 'UINT16', contents: { uintContents: [70_000] } })).rawMessage).toMatch(
      /no UINT16/,
    )
    const strings = clientOf(await serverWith('strings'))
    const { inputs } = await strings.modelMetadata({ name: 'm' })
    const bytesContents = [Uint8Array.of(0x61), Uint8Array.of(0xff)]
    const text = { name: inputs[0]?.name ?? '', datatype: 'BYTES', shape: [1n, 2n], contents: { bytesContents } }
    expect((await failure(strings.modelInfer(question({ inputs: [text] })))).rawMessage).toMatch(/UTF-8/)
  })

  test('is refused until the model is loaded', async () => {
    const loading = await startServer(testOptions('there_is_no_such_model', { grpcPort: 0 }))
    atEnd(() => loading.close())
    const failed = expect(loading.ready).rejects.toThrow()
    const client = createClient(GRPCInferenceService, transportTo(loading))
    expect((await failure(client.modelInfer(question()))).code).toBe(Code.Unavailable)
    expect((await failure(client.modelMetadata({ name: 'm' }))).code).toBe(Code.Unavailable)
    expect([(await client.serverLive({})).live, (await client.serverReady({})).ready]).toEqual([true, false])
    await failed
  })
})

describe('a traffic plan', () => {
  function planned(address: string, weightPermille: number): string {
    const dir = mkdtempSync(join(tmpdir(), 'penstock-grpc-'))
    atEnd(() => rmSync(dir, { recursive: true }))
    const plan = {
      id: 1,
      revision: 'own',
      peer: { revision: 'next', address },
      weightPermille,
      shadowPermille: 0,
      retired: false,
    }
    writeFileSync(join(dir, 'own.json'), JSON.stringify(plan))
    return dir
  }

  test('splits gRPC and REST by one count, and the pinned version stays', async () => {
    const candidate = await serverWith('mlp20', { revision: 'next', modelVersion: '8' })
    const stable = await serverWith('mlp20', { trafficDir: planned(candidate.address, 500) })
    await eventually(async () => (await evidenceOf(stable)).planId === 1)
    const revisions: string[] = []
    const ask = (changes?: Ask) =>
      clientOf(stable).modelInfer(question(changes), {
        onHeader: (headers) => void revisions.push(headers.get(REVISION_HEADER) ?? ''),
      })
    const versions = [await ask(), await ask(), await ask(), await ask()].map(({ modelVersion }) => modelVersion)
    expect(revisions.sort()).toEqual(['next', 'next', 'own', 'own'])
    expect(versions.sort()).toEqual(['7', '7', '8', '8'])
    for (let sent = 0; sent < 4; sent += 1) expect((await ask({ modelVersion: '7' })).modelVersion).toBe('7')
    const { answers } = await evidenceOf(stable)
    expect([answers['next']?.ok, answers['own']?.ok]).toEqual([2, 6])
  })

  test('never lets a user see a peer that is dead', async () => {
    const stable = await serverWith('mlp20', { trafficDir: planned('127.0.0.1:1', 1000) })
    await eventually(async () => (await evidenceOf(stable)).planId === 1)
    expect((await clientOf(stable).modelInfer(question())).modelVersion).toBe('7')
    expect((await evidenceOf(stable)).answers['next']).toMatchObject({ ok: 0, error: 1 })
  })
})

describe('leaving', () => {
  test('lets a call on its way end, and tells its client to go', async () => {
    const server = await startTestServer('mlp20', { grpcPort: 0, drain: { graceMs: 1_000, limitMs: 10_000 } })
    const client = sessionTo(server)
    const heard = Promise.withResolvers<void>()
    client.on('goaway', () => heard.resolve())
    const body = framed(message)
    const { stream, status } = callOn(client)
    stream.write(body.subarray(0, 50))
    await eventually(async () => (await evidenceOf(server)).ready)
    const gone = new Promise((resolve) => client.on('close', resolve))
    const drained = server.drain()
    await heard.promise
    stream.end(body.subarray(50))
    expect(await status).toBe('0')
    await gone
    // The door stays open for those who have not heard of it yet.
    expect((await clientOf(server).modelInfer(question())).outputs).toHaveLength(1)
    expect(await drained).toBe(true)
  })
})

describe('health and reflection', () => {
  test('tell of each service, and watch until the server leaves', async () => {
    const server = await startTestServer('mlp20', { grpcPort: 0 })
    const health = createClient(Health, transportTo(server))
    expect((await health.check({})).status).toBe(Status.SERVING)
    expect((await health.check({ service: 'inference.GRPCInferenceService' })).status).toBe(Status.SERVING)
    expect((await failure(health.check({ service: 'other' }))).code).toBe(Code.NotFound)
    const seen: Status[] = []
    const watching = (async () => {
      for await (const { status } of health.watch({})) seen.push(status)
    })()
    await eventually(() => seen.length === 1)
    const drained = server.drain()
    await watching
    expect(seen).toEqual([Status.SERVING, Status.NOT_SERVING])
    expect(await drained).toBe(true)
  })

  test('describe the service that there is', async () => {
    const reflection = createClient(ServerReflection, transportTo(await serverWith('mlp20')))
    const asked = [
      { case: 'listServices', value: '' },
      { case: 'fileContainingSymbol', value: 'inference.ModelInferRequest.InferInputTensor' },
      { case: 'fileByFilename', value: 'grpc/health/v1/health.proto' },
      { case: 'fileContainingSymbol', value: 'nothing.of.it' },
      { case: undefined },
    ] as const
    const heard = reflection.serverReflectionInfo(
      (async function* () {
        for (const messageRequest of asked) yield { messageRequest }
      })(),
    )
    const answers = []
    for await (const { messageResponse } of heard) answers.push(messageResponse)
    const [services, symbol, file, missing, nothing] = answers
    expect(services?.value).toMatchObject({
      service: expect.arrayContaining([expect.objectContaining({ name: 'inference.GRPCInferenceService' })]) as unknown,
    })
    const names = [symbol, file].map((answer) => {
      if (answer?.case !== 'fileDescriptorResponse') return undefined
      return fromBinary(FileDescriptorProtoSchema, answer.value.fileDescriptorProto[0] ?? new Uint8Array()).package
    })
    expect(names).toEqual(['inference', 'grpc.health.v1'])
    expect([missing?.value, nothing?.value]).toMatchObject([
      { errorCode: Code.NotFound },
      { errorCode: Code.InvalidArgument },
    ])
  })

  test('refuse more calls of reflection than a few at once, and more questions than many, whoever asks', async () => {
    const reflection = createClient(ServerReflection, transportTo(await serverWith('mlp20')))
    const one = { messageRequest: { case: 'listServices', value: '' } } as const
    const end = new AbortController()
    const first = Array.from({ length: 8 }, async () => {
      const endless = async function* () {
        yield one
        await new Promise((resolve) => end.signal.addEventListener('abort', resolve))
      }
      return reflection.serverReflectionInfo(endless(), { signal: end.signal })[Symbol.asyncIterator]().next()
    })
    const ask = async (questions: number) => {
      let answers = 0
      const asked = (async function* () {
        for (let each = 0; each < questions; each += 1) yield one
      })()
      for await (const _ of reflection.serverReflectionInfo(asked)) answers += 1
      return answers
    }
    expect((await Promise.all(first)).map(({ done }) => done)).not.toContain(true)
    expect(await failure(ask(1))).toMatchObject({ code: Code.ResourceExhausted })
    end.abort()
    await eventually(async () => (await ask(1).catch(() => 0)) === 1)
    expect(await failure(ask(1001))).toMatchObject({ code: Code.ResourceExhausted })
    expect(await ask(1000)).toBe(1000)
  })
})
