import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { modelPath } from '../../server-image/serve/testing.ts'
import { type Asked, failureOf, fetchByProgram, fetchedUri, refusalOf, REFUSED_FLAGS } from './fetching.ts'
import { PASSWORD, startRegistry, USER, type Registry, type TokenService } from './registry-server.ts'
import { START_TIMEOUT_MS } from './server-process.ts'

const bytes = randomBytes(300_000)
const model = readFileSync(modelPath('mlp20'))

let folder: string
let registry: Registry

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'penstock-oci-test-'))
  mkdirSync(join(folder, 'packed'))
  for (const name of ['model.onnx', 'other.onnx', 'packed/model.onnx']) writeFileSync(join(folder, name), bytes)
  for (const name of ['README.md', 'config.json', 'packed/labels.txt']) writeFileSync(join(folder, name), '{}')
  // By the tar of this machine: with folders, times and owners.
  execFileSync('tar', ['--create', '--file=model.tar', 'packed'], { cwd: folder })
  execFileSync('tar', ['--create', '--file=two.tar', 'model.onnx', 'other.onnx'], { cwd: folder })
  writeFileSync(join(folder, 'model.tar.zst'), zstdCompressSync(readFileSync(join(folder, 'model.tar'))))
  registry = await startRegistry()
}, START_TIMEOUT_MS)
afterAll(async () => {
  await registry.stop()
  rmSync(folder, { recursive: true })
})

const push = (reference: string, ...args: string[]) => registry.push(reference, folder, args)
const uriOf = (reference: string) => `oci://${registry.host}/${reference}`
const digestOf = (content: Buffer) => `sha256:${createHash('sha256').update(content).digest('hex')}`

const WEIGHT = 'application/vnd.cncf.model.weight.v1'
const MODEL_PACK = [
  ...['--artifact-type', 'application/vnd.cncf.model.manifest.v1+json'],
  ...['--config', 'config.json:application/vnd.cncf.model.config.v1+json'],
]

describe('an artifact', () => {
  test.each([
    ['of one file', ['model.onnx']],
    ['of one file with a media type', ['model.onnx:application/vnd.onnx']],
    ['with other files beside the model', ['README.md', 'model.onnx', 'config.json']],
    ['that is a folder, which ORAS packs and compresses', ['packed']],
    ['that is a folder among files', ['README.md', 'packed']],
    ['that is a tar archive', ['model.tar:application/vnd.oci.image.layer.v1.tar']],
    ['compressed by zstd', ['model.tar.zst:application/vnd.oci.image.layer.v1.tar+zstd']],
    [
      'of ModelPack with raw weights',
      [...MODEL_PACK, `model.onnx:${WEIGHT}.raw`, 'README.md:application/vnd.cncf.model.doc.v1.raw'],
    ],
    [
      'of ModelPack with packed weights',
      [...MODEL_PACK, 'README.md:application/vnd.cncf.model.doc.v1.tar', `model.tar:${WEIGHT}.tar`],
    ],
    [
      'of ModelPack with weights compressed by zstd',
      [...MODEL_PACK, 'README.md:application/vnd.cncf.model.doc.v1.raw', `model.tar.zst:${WEIGHT}.tar+zstd`],
    ],
  ])('%s is fetched, and named by its digest', async (what, args) => {
    const reference = `org/kinds:${what.replaceAll(/\W+/g, '-')}`
    const digest = await push(reference, ...args)
    expect(await fetchedUri({ uri: uriOf(reference) }, bytes)).toBe(`${uriOf(reference)}@${digest}`)
    await fetchedUri({ uri: uriOf(`org/kinds@${digest}`) }, bytes)
  })

  test('is inspected, and stays what it was when its tag moves on', async () => {
    writeFileSync(join(folder, 'real.onnx'), model)
    const digest = await push('org/moving:v3', 'real.onnx')
    const { code, result } = await fetchByProgram({ uri: uriOf('org/moving:v3'), flags: ['--inspect'] })
    const pinned = uriOf(`org/moving:v3@${digest}`)
    expect([code, result]).toMatchObject([0, { ok: true, uri: pinned, sha256: digestOf(model).slice(7) }])
    await push('org/moving:v3', 'model.onnx')
    await fetchedUri({ uri: pinned }, model)
    await fetchedUri({ uri: uriOf('org/moving:v3') }, bytes)
  })

  test('with several models has the one that ?file= names', async () => {
    writeFileSync(join(folder, 'small.onnx'), 'small')
    await push('org/several:v1', 'model.onnx', 'small.onnx', 'README.md')
    const result = await failureOf({ uri: uriOf('org/several:v1') })
    expect(result).toMatchObject({ reason: 'InvalidArgument', message: expect.stringContaining('small.onnx') })
    await fetchedUri({ uri: uriOf('org/several:v1?file=small.onnx') }, Buffer.from('small'))
    await fetchedUri({ uri: uriOf('org/several:v1?file=README.md') }, Buffer.from('{}'))
    expect(await failureOf({ uri: uriOf('org/several:v1?file=none.onnx') })).toMatchObject({ reason: 'NotFound' })
  })

  test('whose archive has several models has the one that ?file= names', async () => {
    await push('org/archives:v1', 'two.tar:application/vnd.oci.image.layer.v1.tar')
    await fetchedUri({ uri: uriOf('org/archives:v1?file=other.onnx') }, bytes)
    expect(await failureOf({ uri: uriOf('org/archives:v1') })).toMatchObject({
      reason: 'InvalidArgument',
      message: expect.stringContaining('model.onnx, other.onnx'),
    })
  })

  test('behind an index of one is fetched, and an index of two is a question', async () => {
    const digests = [await push('org/index:one', 'model.onnx'), await push('org/index:two', 'packed')]
    const index = (tag: string, ...manifests: string[]) =>
      registry.oras(['manifest', 'index', 'create', '--plain-http', `${registry.host}/org/index:${tag}`, ...manifests])
    await index('single', ...digests.slice(0, 1))
    await index('double', ...digests)
    await fetchedUri({ uri: uriOf('org/index:single') }, bytes)
    expect(await failureOf({ uri: uriOf('org/index:double') })).toMatchObject({
      reason: 'InvalidArgument',
      message: expect.stringContaining('index of 2'),
    })
  })
})

describe('a refusal says what to do', () => {
  beforeAll(() => push('org/fraud:v3', 'model.onnx'))

  test.each([
    ['org/fraud:v9', /^NotFound: .*check repository, tag and digest/],
    ['org/none:v3', /^NotFound: .*check repository, tag and digest/],
    [`org/fraud@sha256:${'a'.repeat(64)}`, /^NotFound: /],
    ['org/fraud:v3?file=none', /^NotFound: .*model\.onnx/],
    ['Org Fraud:v3', /^InvalidArgument: .*names no artifact/],
  ])('%s', async (reference, told) => {
    expect(await refusalOf({ uri: uriOf(reference) })).toMatch(told)
  })

  test.each(REFUSED_FLAGS)('%s', async (flag, told) => {
    expect(await refusalOf({ uri: uriOf('org/fraud:v3'), flags: [flag] })).toMatch(told)
  })
})

const base64 = (text: string) => Buffer.from(text).toString('base64')
const dockerConfig = (host: string, user: string, password: string) =>
  JSON.stringify({ auths: { [host]: { auth: base64(`${user}:${password}`) }, 'elsewhere.test': { auth: 'eDp5' } } })

/** @param asked With the password, a wrong one, or none */
function letsIn(asked: (password?: string) => Asked & { readonly secrets: readonly string[] }): void {
  test('lets in who has the credentials, as a variable or as a file', async () => {
    const { uri, env = {}, secrets } = asked(PASSWORD)
    const config = env['DOCKER_AUTH_CONFIG'] ?? ''
    await fetchedUri({ uri, env, secrets }, bytes)
    await fetchedUri({ uri, env: { '.dockerconfigjson': config }, secrets }, bytes)
    const mounted = mkdtempSync(join(folder, 'docker-'))
    writeFileSync(join(mounted, 'config.json'), config)
    await fetchedUri({ uri, env: { DOCKER_CONFIG: mounted }, secrets }, bytes)
  })

  test('refuses others', async () => {
    const wrong = await failureOf(asked('wrong-password'))
    expect(wrong).toMatchObject({ reason: 'Forbidden', message: expect.stringContaining('these credentials') })
    const nobody = await failureOf(asked())
    expect(nobody).toMatchObject({ reason: 'Forbidden', message: expect.stringContaining('anonymously') })
  })
}

describe('a registry with passwords', () => {
  let closed: Registry
  beforeAll(async () => {
    closed = await startRegistry({ auth: 'htpasswd' })
    await closed.push('org/fraud:v3', folder, ['model.onnx'])
  }, START_TIMEOUT_MS)
  afterAll(() => closed.stop())

  letsIn((password) => ({
    uri: `oci://${closed.host}/org/fraud:v3`,
    secrets: [password ?? PASSWORD, base64(`${USER}:${password}`)],
    env: password === undefined ? {} : { DOCKER_AUTH_CONFIG: dockerConfig(closed.host, USER, password) },
  }))

  test('says what is wrong with a configuration that is no JSON', async () => {
    const env = { DOCKER_AUTH_CONFIG: '{"auths": hidden-text' }
    expect(await failureOf({ uri: `oci://${closed.host}/org/fraud:v3`, env })).toMatchObject({
      reason: 'InvalidArgument',
      message: expect.stringContaining('no JSON'),
    })
  })
})

describe('a registry with a token service', () => {
  let closed: Registry
  let service: Server
  let scopes: (string | null)[]

  /** The tokens that distribution's own documentation specifies, for who has the password. */
  async function startTokenService(): Promise<TokenService> {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const jwt = (payload: object) => {
      const parts = [{ alg: 'ES256', typ: 'JWT', kid: 'test' }, payload]
      const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
      const signature = sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' })
      return `${text}.${signature.toString('base64url')}`
    }
    service = createServer((request, response) => {
      const url = new URL(request.url ?? '', 'http://service')
      const scope = url.searchParams.get('scope')
      scopes.push(scope)
      const [, name, actions = ''] = /^repository:(.+):([a-z,]+)$/.exec(scope ?? '') ?? []
      const isKnown = request.headers.authorization === `Basic ${base64(`${USER}:${PASSWORD}`)}`
      if (!isKnown && request.headers.authorization !== undefined) return response.writeHead(401).end()
      // Docker's services give strangers a token that opens nothing.
      const access = isKnown ? [{ type: 'repository', name, actions: actions.split(',') }] : []
      const now = Math.floor(Date.now() / 1000)
      const claims = {
        iss: 'test',
        sub: USER,
        aud: 'models',
        nbf: now - 10,
        iat: now,
        exp: now + 300,
        jti: '1',
        access,
      }
      return response.end(JSON.stringify({ token: jwt(claims), expires_in: 300 }))
    })
    await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve))
    const { port } = service.address() as AddressInfo
    const key = { ...publicKey.export({ format: 'jwk' }), kid: 'test', alg: 'ES256', use: 'sig' }
    return { realm: `http://127.0.0.1:${port}/token`, jwks: { keys: [key] } }
  }

  beforeAll(async () => {
    scopes = []
    closed = await startRegistry({ auth: await startTokenService() })
    await closed.push('org/fraud:v3', folder, ['model.onnx', '--username', USER, '--password', PASSWORD])
  }, START_TIMEOUT_MS)
  afterAll(async () => {
    await closed.stop()
    await new Promise((resolve) => service.close(resolve))
  })

  letsIn((password) => ({
    uri: `oci://${closed.host}/org/fraud:v3`,
    secrets: [password ?? PASSWORD, base64(`${USER}:${password}`)],
    env: password === undefined ? {} : { DOCKER_AUTH_CONFIG: dockerConfig(closed.host, USER, password) },
  }))

  test('is asked for no more than to pull', async () => {
    scopes = []
    const env = { DOCKER_AUTH_CONFIG: dockerConfig(closed.host, USER, PASSWORD) }
    await fetchedUri({ uri: `oci://${closed.host}/org/fraud:v3`, env }, bytes)
    expect(scopes).toEqual(['repository:org/fraud:pull'])
  })
})
