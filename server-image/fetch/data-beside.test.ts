import { createHash } from 'node:crypto'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { packTar } from 'modern-tar'
import { loadModel } from '../model/session.ts'
import { fetchModel, type FetchOptions, type FetchResult } from './fetch-model.ts'
import { runFetch } from './run-fetch.ts'

const testdata = join(import.meta.dirname, '..', 'model', 'testdata')
const NAME = 'external.weights'
const model = readFileSync(join(testdata, 'external.onnx'))
const weights = readFileSync(join(testdata, NAME))
const sha256 = hash('sha256', model)
/** As `sha256sum external.weights | sha256sum` prints it. */
const dataSha256 = hash('sha256', Buffer.from(`${hash('sha256', weights)}  ${NAME}\n`))

function hash(algorithm: string, bytes: Buffer): string {
  return createHash(algorithm).update(bytes).digest('hex')
}

let folder: string
let there: string
let here: string
let out: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'beside-'))
  there = join(folder, 'there')
  here = join(folder, 'here')
  out = join(here, 'model.onnx')
  mkdirSync(there)
  mkdirSync(here)
  writeFileSync(join(there, 'net.onnx'), model)
  writeFileSync(join(there, NAME), weights)
})

afterEach(() => rmSync(folder, { recursive: true }))

function fetching(uri: string, options: Partial<FetchOptions> = {}): Promise<FetchResult> {
  return fetchModel({ uri, out, noProgressMs: 10_000, stallMs: 10_000, ...options })
}

const failureOf = (uri: string, options: Partial<FetchOptions> = {}) =>
  fetching(uri, options).then(
    () => new Error('It was fetched.'),
    (error: Error) => error,
  )

/** A model whose only tensors are in files of these names. */
function modelWithDataIn(locations: readonly string[]): Buffer {
  const part = (fieldNumber: number, content: Uint8Array) => (writer: BinaryWriter) =>
    writer.tag(fieldNumber, WireType.LengthDelimited).bytes(content)
  const built = (...parts: ((writer: BinaryWriter) => BinaryWriter)[]) =>
    parts.reduce((writer, each) => each(writer), new BinaryWriter()).finish()
  const text = (value: string) => new TextEncoder().encode(value)
  const tensors = locations.map((location, index) =>
    part(5, built(part(8, text(`w${index}`)), part(13, built(part(1, text('location')), part(2, text(location)))))),
  )
  const graph = built(...tensors, part(12, built(part(1, text('y')))))
  return Buffer.from(built((writer) => writer.tag(1, WireType.Varint).int64(10), part(7, graph)))
}

describe('a model in a folder', () => {
  test('comes with the data beside it, and computes', async () => {
    const result = await fetching(join(there, 'net.onnx'))
    expect(result).toMatchObject({ sha256, dataSha256, dataSizeBytes: weights.length })
    expect(readdirSync(here).toSorted()).toEqual([NAME, 'model.onnx'])
    const loaded = await loadModel({ path: out })
    const feeds = { x: { datatype: 'FP32', shape: [1, 20], data: new Float32Array(20).fill(1) } } as const
    expect(loaded.run(feeds)).toHaveProperty('scores')
    loaded.dispose()
  })

  test('is resolved with a second digest, which pods hold the data against', async () => {
    const terminationLog = join(folder, 'termination-log')
    const lines: string[] = []
    const log = (line: string) => lines.push(line)
    const uri = join(there, 'net.onnx')
    expect(await runFetch({ uri, out, inspect: true, terminationLog, log })).toBe(0)
    expect(JSON.parse(readFileSync(terminationLog, 'utf8'))).toMatchObject({ ok: true, uri, sha256, dataSha256 })
    rmSync(here, { recursive: true })
    mkdirSync(here)
    expect(await runFetch({ uri, out, sha256, dataSha256, inspect: false, log })).toBe(0)
    expect(readFileSync(join(here, NAME)).equals(weights)).toBe(true)
  })

  test('does not come when the data was overwritten, though the model was not', async () => {
    writeFileSync(join(there, NAME), Buffer.alloc(weights.length))
    const { message } = await failureOf(join(there, 'net.onnx'), { sha256, dataSha256 })
    expect(message).toMatch(
      /^The data beside the model \("external.weights"\) has the digest .* overwritten or damaged/,
    )
    expect(readdirSync(here)).toEqual([])
  })

  test('leaves what was there before as it was, when the data cannot be had', async () => {
    await fetching(join(there, 'net.onnx'))
    unlinkSync(join(there, NAME))
    writeFileSync(join(there, 'net.onnx'), modelWithDataIn(['other']))
    expect(await failureOf(join(there, 'net.onnx'))).toMatchObject({
      reason: 'NotFound',
      message: expect.stringMatching(/^The model keeps data in "other" beside it: There is no file ".*\/there\/other"/),
    })
    expect(readFileSync(out).equals(model)).toBe(true)
    expect(readdirSync(here).toSorted()).toEqual([NAME, 'model.onnx'])
  })

  test('is not fetched again when all of it is there, and is when the data is another', async () => {
    await fetching(join(there, 'net.onnx'))
    const lines: string[] = []
    const again = () => fetching(join(there, 'net.onnx'), { sha256, dataSha256, log: (line) => lines.push(line) })
    await expect(again()).resolves.toMatchObject({ sha256, dataSha256 })
    expect(lines).toEqual([`${out} is there already`])
    writeFileSync(join(here, NAME), 'damaged')
    await expect(again()).resolves.toMatchObject({ sha256, dataSha256 })
    expect(lines).toHaveLength(1)
    expect(readFileSync(join(here, NAME)).equals(weights)).toBe(true)
  })

  test('may keep its data in folders below its own', async () => {
    mkdirSync(join(there, 'a', 'b'), { recursive: true })
    writeFileSync(join(there, 'net.onnx'), modelWithDataIn(['a/b/c d', 'a/e']))
    writeFileSync(join(there, 'a', 'b', 'c d'), 'one')
    writeFileSync(join(there, 'a', 'e'), 'two')
    const line = (text: string, name: string) => `${hash('sha256', Buffer.from(text))}  ${name}\n`
    const wanted = hash('sha256', Buffer.from(line('one', 'a/b/c d') + line('two', 'a/e')))
    await expect(fetching(join(there, 'net.onnx'))).resolves.toMatchObject({ dataSha256: wanted, dataSizeBytes: 6 })
    expect(readFileSync(join(here, 'a', 'b', 'c d'), 'utf8')).toBe('one')
  })

  test('has one limit of size in all', async () => {
    const uri = join(there, 'net.onnx')
    const whole = model.length + weights.length
    expect(await failureOf(uri, { maxBytes: whole - 1 })).toMatchObject({ reason: 'TooLarge' })
    expect(readdirSync(here)).toEqual([])
    await expect(fetching(uri, { maxBytes: whole })).resolves.toMatchObject({ dataSha256 })
  })

  test.each(['../secret', '/etc/passwd', 'a/../../secret', '..\\secret', 'file:///etc/passwd'])(
    'may not name %s',
    async (location) => {
      writeFileSync(join(folder, 'secret'), 'not for models')
      writeFileSync(join(there, 'net.onnx'), modelWithDataIn([location]))
      expect(await failureOf(join(there, 'net.onnx'))).toMatchObject({
        reason: 'InvalidModel',
        message: expect.stringContaining('only plain relative paths'),
      })
    },
  )

  test('may not name the place where it will be itself', async () => {
    writeFileSync(join(there, 'net.onnx'), modelWithDataIn(['model.onnx']))
    expect((await failureOf(join(there, 'net.onnx'))).message).toContain('the place of the model itself')
  })

  test('is not followed through a link out of its folder', async () => {
    writeFileSync(join(folder, 'secret'), 'not for models')
    unlinkSync(join(there, NAME))
    symlinkSync(join(folder, 'secret'), join(there, NAME))
    expect(await failureOf(join(there, 'net.onnx'))).toMatchObject({ reason: 'Forbidden' })
  })

  test('is followed through links that stay there, as volumes of Kubernetes and caches of the Hub have them', async () => {
    mkdirSync(join(there, '..data'))
    for (const name of ['net.onnx', NAME]) {
      copyFileSync(join(there, name), join(there, '..data', name))
      unlinkSync(join(there, name))
      symlinkSync(join('..data', name), join(there, name))
    }
    await expect(fetching(join(there, 'net.onnx'))).resolves.toMatchObject({ sha256, dataSha256 })
    mkdirSync(join(folder, 'snapshot'))
    for (const name of ['net.onnx', NAME]) symlinkSync(join(there, '..data', name), join(folder, 'snapshot', name))
    await expect(fetching(join(folder, 'snapshot', 'net.onnx'))).resolves.toMatchObject({ sha256, dataSha256 })
  })

  test('does not write through a link in its place', async () => {
    mkdirSync(join(folder, 'elsewhere'))
    symlinkSync(join(folder, 'elsewhere'), join(here, 'a'))
    mkdirSync(join(there, 'a'))
    writeFileSync(join(there, 'a', 'w'), 'one')
    writeFileSync(join(there, 'net.onnx'), modelWithDataIn(['a/w']))
    expect((await failureOf(join(there, 'net.onnx'))).message).toContain('is a link')
    expect(readdirSync(join(folder, 'elsewhere'))).toEqual([])
  })

  test('without data, has none to be held against', async () => {
    const uri = join(testdata, 'mlp20.onnx')
    expect(await fetching(uri)).not.toHaveProperty('dataSha256')
    expect(await failureOf(uri, { dataSha256 })).toMatchObject({ reason: 'DigestMismatch' })
  })
})

describe('a model on a server', () => {
  let server: Server
  let origin: string
  let seen: string[]
  let answer: (request: IncomingMessage, response: ServerResponse) => void

  beforeEach(async () => {
    seen = []
    server = createServer((request, response) => {
      seen.push(request.url ?? '')
      answer(request, response)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })

  afterEach(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  /** What a path ends with, and what is sent for it. */
  const serving =
    (files: Readonly<Record<string, Buffer | string>>, headers: Readonly<Record<string, string>> = {}) =>
    ({ url = '' }: IncomingMessage, response: ServerResponse) => {
      const path = decodeURIComponent(url.replace(/\?.*$/, ''))
      const file = Object.entries(files).find(([name]) => path.endsWith(name))?.[1]
      if (file === undefined) response.writeHead(404).end()
      else response.writeHead(200, headers).end(file)
    }
  const both = { 'net.onnx': model, [NAME]: weights }

  test('has its data beside it, asked for with the same credentials', async () => {
    const headers: (string | undefined)[] = []
    answer = (request, response) => {
      headers.push(request.headers.authorization)
      serving(both)(request, response)
    }
    const uri = `${origin.replace('//', '//user:hidden@')}/models/net.onnx?download=true`
    await expect(fetching(uri)).resolves.toMatchObject({ uri, sha256, dataSha256 })
    expect(seen).toEqual(['/models/net.onnx?download=true', `/models/${NAME}?download=true`])
    expect(new Set(headers)).toEqual(new Set([`Basic ${btoa('user:hidden')}`]))
  })

  test('is refused without its data, which the message names', async () => {
    answer = serving({ 'net.onnx': model })
    expect(await failureOf(`${origin}/net.onnx`)).toMatchObject({
      reason: 'NotFound',
      message: expect.stringContaining(`data in "${NAME}" beside it: ${origin}/${NAME} does not exist`),
    })
    expect(readdirSync(here)).toEqual([])
  })

  test('may break off within its data, which goes on where it stopped', async () => {
    const ranges: (string | undefined)[] = []
    answer = (request, response) => {
      if (request.url !== `/${NAME}`) return serving(both)(request, response)
      const { range } = request.headers
      ranges.push(range)
      const from = Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0)
      const length = from === 0 ? {} : { 'content-range': `bytes ${from}-${weights.length - 1}/${weights.length}` }
      response.writeHead(from === 0 ? 200 : 206, { etag: '"1"', 'content-length': weights.length - from, ...length })
      response.write(weights.subarray(from, from + 1_500))
      // What came before a connection breaks may be lost with it, but not what was written down.
      void isWritten(Math.min(from + 1_500, weights.length)).then(() => response.destroy())
    }
    const isWritten = async (sizeBytes: number) => {
      const sizes = () => readdirSync(here).map((name) => (name.includes(NAME) ? statSync(join(here, name)).size : 0))
      while (Math.max(...sizes()) < sizeBytes) await setImmediate()
    }
    await expect(fetching(`${origin}/net.onnx`)).resolves.toMatchObject({ dataSha256 })
    expect(ranges).toEqual([undefined, 'bytes=1500-', 'bytes=3000-'])
  })

  const env = () => ({
    AWS_ENDPOINT_URL: origin,
    STORAGE_EMULATOR_HOST: origin,
    HF_ENDPOINT: origin,
    AZURE_STORAGE_SERVICE_ENDPOINT: origin,
  })
  const commit = 'c0ffee'.repeat(7).slice(0, 40)

  test.each([
    ['s3://bucket/m/net.onnx?versionId=1', { 'x-amz-version-id': '1' }, `/bucket/m/${NAME}`],
    ['gs://bucket/m/net.onnx#7', { 'x-goog-generation': '7' }, `/storage/v1/b/bucket/o/m%2F${NAME}?alt=media`],
    ['az://account/box/m/net.onnx?versionid=2', { 'x-ms-version-id': '2' }, `/box/m/${NAME}`],
    [`hf://org/repo@${commit}/m/net.onnx`, {}, `/org/repo/resolve/${commit}/m/${NAME}`],
  ])('%s', async (uri, headers, wanted) => {
    answer = serving(both, headers)
    await expect(fetching(uri, { env: env() })).resolves.toMatchObject({ uri, sha256, dataSha256 })
    expect(seen[1]).toBe(wanted)
  })

  test('the Hub says what its large files are, and is held to it', async () => {
    const siblings = (digest: string) => [{ rfilename: 'net.onnx' }, { rfilename: NAME, lfs: { sha256: digest } }]
    let claimed = hash('sha256', weights)
    answer = (request, response) => {
      if (!request.url?.startsWith('/api/')) return serving(both)(request, response)
      response.end(JSON.stringify({ sha: commit, siblings: siblings(claimed) }))
    }
    await expect(fetching('hf://org/repo', { env: env() })).resolves.toMatchObject({ dataSha256 })
    claimed = 'a'.repeat(64)
    expect(await failureOf('hf://org/repo', { env: env() })).toMatchObject({ reason: 'DigestMismatch' })
  })

  test('a version in MLflow has its data in the same folder', async () => {
    const api = '/api/2.0/mlflow-artifacts/artifacts'
    answer = (request, response) => {
      const url = new URL(request.url ?? '', origin)
      if (url.pathname.endsWith('/model-versions/get')) return response.end('{"model_version":{"status":"READY"}}')
      if (url.pathname.endsWith('/get-download-uri'))
        return response.end('{"artifact_uri":"mlflow-artifacts:/1/models/x/artifacts"}')
      if (url.pathname === api) {
        return response.end(url.search.endsWith('data') ? '{}' : '{"files":[{"path":"net.onnx","is_dir":false}]}')
      }
      return serving(both)(request, response)
    }
    const uri = 'models:/m/3'
    await expect(fetching(uri, { env: { MLFLOW_TRACKING_URI: origin } })).resolves.toMatchObject({ uri, dataSha256 })
    expect(seen.at(-1)).toBe(`${api}/1/models/x/artifacts/${NAME}`)
  })

  const sha = (bytes: Buffer) => `sha256:${hash('sha256', bytes)}`

  /** A registry with one artifact. */
  function registry(layers: readonly { bytes: Buffer; mediaType: string; title?: string }[]) {
    const manifest = Buffer.from(
      JSON.stringify({
        layers: layers.map(({ bytes, mediaType, title }) => ({
          mediaType,
          digest: sha(bytes),
          annotations: title === undefined ? {} : { 'org.opencontainers.image.title': title },
        })),
      }),
    )
    answer = ({ url = '' }, response) => {
      const blob = layers.find(({ bytes }) => url.endsWith(`/blobs/${sha(bytes)}`))?.bytes
      if (url.includes('/manifests/')) response.end(manifest)
      else response.writeHead(blob === undefined && url !== '/v2/' ? 404 : 200).end(blob)
    }
    return { uri: `${origin.replace('http', 'oci+http')}/org/m:v1`, pinned: sha(manifest) }
  }

  test('layers of an artifact are found by their titles', async () => {
    const mediaType = 'application/octet-stream'
    const { uri, pinned } = registry([
      { bytes: weights, mediaType, title: `m/${NAME}` },
      { bytes: model, mediaType, title: 'm/net.onnx' },
    ])
    const result = await fetching(uri)
    expect(result).toMatchObject({ uri: `${uri}@${pinned}`, sha256, dataSha256 })
    await expect(fetching(result.uri, { dataSha256 })).resolves.toMatchObject({ dataSha256 })
    registry([{ bytes: model, mediaType, title: 'm/net.onnx' }])
    expect((await failureOf(uri)).message).toContain(`no layer with the title "m/${NAME}"`)
  })

  const mediaType = 'application/vnd.oci.image.layer.v1.tar'
  const tarOf = async (files: Readonly<Record<string, Buffer>>) =>
    Buffer.from(
      await packTar(
        Object.entries(files).map(([name, body]) => ({
          header: { name, size: body.length },
          body: new Uint8Array(body),
        })),
      ),
    )

  test('an archive has the data within, before the model or after it', async () => {
    for (const files of [
      { [`./m/${NAME}`]: weights, './m/net.onnx': model },
      { 'm/net.onnx': model, [NAME]: Buffer.from('another'), [`m/${NAME}`]: weights },
    ]) {
      const { uri } = registry([{ bytes: await tarOf(files), mediaType }])
      await expect(fetching(uri)).resolves.toMatchObject({ sha256, dataSha256 })
      expect(readdirSync(here).toSorted()).toEqual([NAME, 'model.onnx'])
      rmSync(out)
    }
  })

  test('an archive without the data is refused, and nothing of it stays', async () => {
    const { uri } = registry([{ bytes: await tarOf({ 'net.onnx': model }), mediaType }])
    expect((await failureOf(uri)).message).toContain(`The archive has no file "${NAME}"`)
    expect(readdirSync(here)).toEqual([])
  })

  test('a folder that DVC tracks is named by its list, which leads to both', async () => {
    const md5 = (bytes: Buffer) => hash('md5', bytes)
    const listing = Buffer.from(
      JSON.stringify([
        { md5: md5(weights), relpath: `m/${NAME}` },
        { md5: md5(model), relpath: 'm/net.onnx' },
      ]),
    )
    const object = (digest: string) => `/files/md5/${digest.slice(0, 2)}/${digest.slice(2)}`
    const pointer = `outs:\n- md5: ${md5(listing)}.dir\n  hash: md5\n  path: out\n`
    answer = serving({
      'raw/out.dvc': pointer,
      [object(`${md5(listing)}.dir`)]: listing,
      [object(md5(model))]: model,
      [object(md5(weights))]: weights,
    })
    const result = await fetching(`dvc+${origin}?dvc=${origin}/raw/out.dvc`)
    const uri = `dvc+${origin}${object(`${md5(listing)}.dir`)}?file=m/net.onnx`
    expect(result).toMatchObject({ uri, sha256, dataSha256 })
    await expect(fetching(uri, { sha256: 'sha256:' + sha256, dataSha256 })).resolves.toMatchObject({ uri })
    rmSync(here, { recursive: true })
    mkdirSync(here)
    await expect(fetching(uri, { sha256, dataSha256 })).resolves.toMatchObject({ uri, dataSha256 })
    const alone = `dvc+${origin}${object(md5(model))}`
    expect((await failureOf(alone)).message).toContain('names one object alone')
  })

  test('files that DVC tracks one by one are found where both are listed', async () => {
    const object = (digest: string) => `/files/md5/${digest.slice(0, 2)}/${digest.slice(2)}`
    const out = (bytes: Buffer, path: string) => `- md5: ${hash('md5', bytes)}\n  hash: md5\n  path: ${path}\n`
    answer = serving({
      'raw/dvc.lock': `outs:\n${out(model, 'm/net.onnx')}${out(weights, `m/${NAME}`)}`,
      [object(hash('md5', model))]: model,
      [object(hash('md5', weights))]: weights,
    })
    const uri = `dvc+${origin}?dvc=${origin}/raw/dvc.lock`
    await expect(fetching(uri)).resolves.toMatchObject({ uri, sha256, dataSha256 })
  })
})

test('a large model that names no other file is not read for names', async () => {
  const path = join(there, 'large.onnx')
  // No model at all: only a look for names, not a reading, lets it pass.
  writeFileSync(path, Buffer.alloc(3_000_000, 'location'))
  await expect(fetching(path)).resolves.toMatchObject({ sizeBytes: 3_000_000 })
  // Across the seam of two chunks.
  const named = Buffer.alloc(3_000_000)
  named.write('\n\x08location', 1024 * 1024 - 4)
  writeFileSync(path, named)
  expect(await failureOf(path)).toMatchObject({ reason: 'InvalidModel' })
  expect(existsSync(out)).toBe(true)
})
