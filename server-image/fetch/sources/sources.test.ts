import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { FetchError } from '../fetch-error.ts'
import { fetchModel, type FetchResult } from '../fetch-model.ts'
import type { Environment } from '../environment.ts'

const content = Buffer.from('the bytes of a model')
const hex = (algorithm: string) => createHash(algorithm).update(content).digest('hex')
const sha256 = hex('sha256')
const commit = 'c0ffee'.repeat(7).slice(0, 40)

let folder: string
let server: Server
let origin: string
let seen: IncomingMessage[]
let answer: (request: IncomingMessage, response: ServerResponse) => void

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sources-'))
  seen = []
  server = createServer((request, response) => {
    seen.push(request)
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  rmSync(folder, { recursive: true })
})

function fetching(uri: string, env: Environment = {}): Promise<FetchResult> {
  return fetchModel({ uri, env, out: join(folder, 'out.onnx'), noProgressMs: 10_000 })
}

async function failureOf(uri: string, env: Environment = {}): Promise<FetchError> {
  const failure = await fetching(uri, env).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(FetchError)
  return failure as FetchError
}

const hub = (digest: string) => (request: IncomingMessage, response: ServerResponse) => {
  if (!request.url?.startsWith('/api/')) return response.end(content)
  const siblings = [{ rfilename: 'README.md' }, { rfilename: 'onnx/model.onnx', lfs: { sha256: digest } }]
  return response.end(JSON.stringify({ sha: commit, siblings }))
}

test('a branch on the Hub becomes its commit, and the only .onnx file is taken', async () => {
  answer = hub(sha256)
  const result = await fetching('hf://org/repo@dev', { HF_ENDPOINT: origin, HF_TOKEN: 'hidden' })
  expect(result).toMatchObject({ uri: `hf://org/repo@${commit}/onnx/model.onnx`, sha256 })
  expect(seen.map(({ url }) => url)).toEqual([
    '/api/models/org/repo/revision/dev?blobs=true',
    `/org/repo/resolve/${commit}/onnx/model.onnx`,
  ])
  expect(seen.every(({ headers }) => headers.authorization === 'Bearer hidden')).toBe(true)
})

test('bytes that are not what the Hub said they are do not pass', async () => {
  answer = hub('a'.repeat(64))
  expect((await failureOf('hf://org/repo', { HF_ENDPOINT: origin })).reason).toBe('DigestMismatch')
})

test('a token does not follow a redirect to another host', async () => {
  const elsewhere = origin.replace('127.0.0.1', 'localhost')
  answer = (request, response) => {
    if (request.url === '/file') response.end(content)
    else response.writeHead(302, { location: `${elsewhere}/file` }).end()
  }
  const uri = `hf://org/repo@${commit}/model.onnx`
  await expect(fetching(uri, { HF_ENDPOINT: origin, HF_TOKEN: 'hidden' })).resolves.toMatchObject({ sha256 })
  expect(seen.map(({ headers }) => headers.authorization)).toEqual(['Bearer hidden', undefined])
})

test.each([
  ['s3://bucket/m.onnx', { AWS_ENDPOINT_URL: 'http://169.254.169.254' }],
  ['hf://org/repo', { HF_ENDPOINT: 'http://169.254.169.254' }],
  ['gs://bucket/m.onnx', { STORAGE_EMULATOR_HOST: '169.254.169.254' }],
  ['models:/m/1', { MLFLOW_TRACKING_URI: 'http://[::ffff:169.254.169.254]' }],
  ['oci+http://169.254.169.254/org/m:v1', {}],
  ['dvc+http://169.254.169.254/files/md5/ab/' + 'c'.repeat(30), {}],
  ['az://account/models/m.onnx', { AZURE_STORAGE_SERVICE_ENDPOINT: 'http://169.254.169.254' }],
])('%s: no source reaches a metadata address', async (uri, env) => {
  expect(await failureOf(uri, env)).toMatchObject({
    reason: 'Forbidden',
    message: expect.stringContaining('not allowed'),
  })
})

test('an object of a DVC remote is what its name says', async () => {
  answer = (_, response) => response.end(content)
  const md5 = hex('md5')
  const url = `dvc+${origin}/files/md5/${md5.slice(0, 2)}/${md5.slice(2)}`
  await expect(fetching(url)).resolves.toMatchObject({ uri: url, sha256 })
  expect((await failureOf(`dvc+${origin}/ab/${'c'.repeat(30)}`)).reason).toBe('DigestMismatch')
})

test('a .dvc file names the object', async () => {
  const md5 = hex('md5')
  answer = (request, response) =>
    response.end(request.url?.endsWith('.dvc') ? `outs:\n- md5: ${md5}\n  hash: md5\n  path: m.onnx\n` : content)
  await expect(fetching(`dvc+${origin}/store?dvc=${origin}/raw/m.onnx.dvc`)).resolves.toMatchObject({
    uri: `dvc+${origin}/store/files/md5/${md5.slice(0, 2)}/${md5.slice(2)}`,
    sha256,
  })
})

test('a claim is read where it is mounted, and nothing outside of it', async () => {
  mkdirSync(join(folder, 'claim'))
  writeFileSync(join(folder, 'claim', 'm.onnx'), content)
  const env = { PENSTOCK_PVC_DIR: join(folder, 'claim') }
  await expect(fetching('pvc://models/m.onnx', env)).resolves.toMatchObject({ uri: 'pvc://models/m.onnx', sha256 })
  expect((await failureOf('pvc://models/../m.onnx', env)).reason).toBe('InvalidArgument')
  expect((await failureOf('pvc://models/m.onnx')).message).toContain('not mounted')
})

test('a refusal never repeats a credential', async () => {
  answer = (_, response) => response.writeHead(403).end('<Error><Code>SignatureDoesNotMatch</Code>hidden</Error>')
  const env = { AWS_ENDPOINT_URL: origin, AWS_ACCESS_KEY_ID: 'hidden', AWS_SECRET_ACCESS_KEY: 'hidden' }
  const { message } = await failureOf('s3://bucket/m.onnx', env)
  expect(message).toContain('SignatureDoesNotMatch')
  expect(message).not.toContain('hidden')
})
