import { generateKeyPairSync, randomBytes, verify, type KeyObject } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, request as httpRequest, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { modelPath } from '../../server-image/serve/testing.ts'
import { fetchByProgram, fetchedUri, ODD_NAMES, refusalOf, REFUSED_FLAGS } from './fetching.ts'
import { startGs, type GsServer } from './gs-server.ts'
import { START_TIMEOUT_MS } from './server-process.ts'

const bytes = randomBytes(300_000)
const model = readFileSync(modelPath('mlp20'))

let gs: GsServer
beforeAll(async () => {
  gs = await startGs()
  await gs.makeBucket('models')
  for (const name of ['fraud/3/model.onnx', ...ODD_NAMES]) await gs.put('models', name, bytes)
}, START_TIMEOUT_MS)
afterAll(() => gs.stop())

/** Google's libraries take it with and without a scheme. */
const at = () => ({ STORAGE_EMULATOR_HOST: gs.url.replace('http://', '') })

test.each(ODD_NAMES)('the object "%s" is fetched', async (name) => {
  await fetchedUri({ uri: `gs://models/${name}`, env: { STORAGE_EMULATOR_HOST: gs.url } }, bytes)
})

test('an object is named by its generation, and fetched by it after it was overwritten', async () => {
  const generation = await gs.put('models', 'moving.onnx', model)
  const { code, result } = await fetchByProgram({ uri: 'gs://models/moving.onnx', env: at(), flags: ['--inspect'] })
  const pinned = `gs://models/moving.onnx#${generation}`
  expect([code, result]).toMatchObject([0, { ok: true, uri: pinned, sizeBytes: model.length }])
  await gs.put('models', 'moving.onnx', bytes)
  await fetchedUri({ uri: 'gs://models/moving.onnx', env: at() }, bytes)
  await fetchedUri({ uri: pinned, env: at() }, model)
})

describe('a refusal says what to do', () => {
  test.each([
    ['gs://models/none.onnx', /^NotFound: .*check bucket and path/],
    ['gs://nowhere/m.onnx', /^NotFound: .*check bucket and path/],
    ['gs://models/fraud/3/model.onnx#12345', /^NotFound: .*generation/],
    ['gs://models/fraud/3/', /^InvalidArgument: .*names no object/],
    ['gs://models/fraud/3', /^NotFound: /],
  ])('%s', async (uri, told) => {
    expect(await refusalOf({ uri, env: at() })).toMatch(told)
  })

  test.each(REFUSED_FLAGS)('%s', async (flag, told) => {
    expect(await refusalOf({ uri: 'gs://models/fraud/3/model.onnx', env: at(), flags: [flag] })).toMatch(told)
  })
})

/** The storage behind a door, as Google's is: tokens are had for what RFC 7523 (a signed assertion) or RFC 6749 (a refresh token) ask for. */
describe('storage that wants a token', () => {
  const TOKEN = 'ya29.an-access-token'
  const keys = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const strangers = generateKeyPairSync('rsa', { modulusLength: 2048 })
  let door: Server
  let url: string
  let folder: string

  function isSignedByUs(assertion: string): boolean {
    const [head = '', claims = '', signature = ''] = assertion.split('.')
    const { iss, aud, scope, iat, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as Record<
      string,
      unknown
    >
    const now = Date.now() / 1000
    return (
      verify('RSA-SHA256', Buffer.from(`${head}.${claims}`), keys.publicKey, Buffer.from(signature, 'base64url')) &&
      iss === 'reader@test.example' &&
      aud === `${url}/token` &&
      scope === 'https://www.googleapis.com/auth/devstorage.read_only' &&
      Number(iat) <= now + 1 &&
      Number(exp) > now &&
      Number(exp) - Number(iat) <= 3600
    )
  }

  async function giveToken(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const form = new URLSearchParams(Buffer.concat(await request.toArray()).toString())
    const isGranted =
      form.get('grant_type') === 'refresh_token'
        ? form.get('client_secret') === 'GOCSPX-secret' && form.get('refresh_token') === '1//refresh'
        : form.get('grant_type') === 'urn:ietf:params:oauth:grant-type:jwt-bearer' &&
          isSignedByUs(form.get('assertion') ?? '')
    if (isGranted) response.end(JSON.stringify({ access_token: TOKEN, expires_in: 3599, token_type: 'Bearer' }))
    else response.writeHead(400).end('{"error":"invalid_grant"}')
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'penstock-gs-test-'))
    door = createServer((request, response) => {
      if (request.url === '/token') return void giveToken(request, response)
      const { authorization } = request.headers
      if (authorization === undefined) return response.writeHead(401).end()
      if (authorization !== `Bearer ${TOKEN}`) return response.writeHead(403).end()
      return httpRequest(gs.url + (request.url ?? ''), (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(response)
      }).end()
    })
    await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve))
    url = `http://127.0.0.1:${(door.address() as AddressInfo).port}`
  })
  afterAll(async () => {
    await new Promise((resolve) => door.close(resolve))
    rmSync(folder, { recursive: true })
  })

  const serviceAccount = (privateKey: KeyObject) =>
    JSON.stringify({
      type: 'service_account',
      private_key_id: '1',
      private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      client_email: 'reader@test.example',
      token_uri: `${url}/token`,
    })
  const user = () => ({
    type: 'authorized_user',
    client_id: 'id',
    client_secret: 'GOCSPX-secret',
    refresh_token: '1//refresh',
    token_uri: `${url}/token`,
  })
  const asked = (env: Readonly<Record<string, string>>) => ({
    uri: 'gs://models/fraud/3/model.onnx',
    env: { STORAGE_EMULATOR_HOST: url, ...env },
    secrets: [TOKEN, 'GOCSPX-secret', '1//refresh', ...keysText(keys.privateKey)],
  })
  const keysText = (key: KeyObject) => key.export({ type: 'pkcs8', format: 'pem' }).toString().split('\n').slice(1, 3)

  test('is read with a service account, whose key is a file or a variable', async () => {
    const path = join(folder, 'key.json')
    writeFileSync(path, serviceAccount(keys.privateKey))
    await fetchedUri(asked({ GOOGLE_APPLICATION_CREDENTIALS: path }), bytes)
    await fetchedUri(asked({ GOOGLE_APPLICATION_CREDENTIALS: serviceAccount(keys.privateKey) }), bytes)
  })

  test("is read with a user's refresh token", () =>
    fetchedUri(asked({ GOOGLE_APPLICATION_CREDENTIALS: JSON.stringify(user()) }), bytes))

  test('is read with a token that was given', () => fetchedUri(asked({ GOOGLE_OAUTH_ACCESS_TOKEN: TOKEN }), bytes))

  test.each<[string, () => Record<string, string>, RegExp]>([
    ['nobody', () => ({}), /^Forbidden: .*GOOGLE_APPLICATION_CREDENTIALS/],
    ['a token without a role', () => ({ GOOGLE_OAUTH_ACCESS_TOKEN: 'other-token' }), /^Forbidden: .*objectViewer/],
    [
      'a key that is no longer valid',
      () => ({ GOOGLE_APPLICATION_CREDENTIALS: serviceAccount(strangers.privateKey) }),
      /^Forbidden: .*deleted nor disabled/,
    ],
    ['a broken key', () => ({ GOOGLE_APPLICATION_CREDENTIALS: '{"type": "serv' }), /^InvalidArgument: .*no JSON/],
    [
      'a key of another kind',
      () => ({ GOOGLE_APPLICATION_CREDENTIALS: '{"type": "external_account"}' }),
      /^UnsupportedSource: .*external_account/,
    ],
    ['a missing file', () => ({ GOOGLE_APPLICATION_CREDENTIALS: '/nowhere.json' }), /^InvalidArgument: .*ENOENT/],
  ])('is closed to %s', async (_who, env, told) => {
    expect(await refusalOf(asked(env()))).toMatch(told)
  })
})
