/** MLflow's own server and client: what a client logged and registered is what is fetched, by every name that MLflow has for it. */
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { failureOf, fetchByProgram, fetchedUri } from './fetching.ts'
import { addMlflowUser, MODEL, OTHER_MODEL, startMlflow, type MlflowServer } from './mlflow-server.ts'
import { BUCKET, startMotoWithBucket, type Moto } from './moto.ts'
import { INSTALL_TIMEOUT_MS } from './python-programs.ts'

describe('a server that passes artifacts on', () => {
  let server: MlflowServer
  let env: Record<string, string>

  beforeAll(async () => {
    server = await startMlflow()
    env = { MLFLOW_TRACKING_URI: server.url }
  }, INSTALL_TIMEOUT_MS)

  afterAll(() => server?.stop())

  test.each([
    ['models:/fraud/1', 1],
    ['models:/fraud/2', 2],
    ['models:///fraud/2', 2],
    ['models:/fraud@champion', 1],
  ])('%s is the version that MLflow itself downloads', async (uri, version) => {
    expect(await fetchedUri({ uri, env }, await server.downloaded(version))).toBe(`models:/fraud/${version}`)
  })

  test.each([
    ['models:/fraud/latest', 5],
    ['models:/fraud/Latest', 5],
    ['models:/fraud/4', 4],
  ])(
    '%s: a version need not be logged by mlflow.onnx, and may be named by the path of its run',
    async (uri, version) => {
      expect(await fetchedUri({ uri, env }, await readFile(OTHER_MODEL))).toBe(`models:/fraud/${version}`)
    },
  )

  test('a logged model is named by its id, as log_model answers', async () => {
    const uri = `models:/${server.seeded.modelId}`
    expect(await fetchedUri({ uri, env }, await server.downloaded(1))).toBe(uri)
  })

  test('a resolve Job tells the contract and the version behind the alias', async () => {
    const { code, result } = await fetchByProgram({ uri: 'models:/fraud@champion', env, flags: ['--inspect'] })
    expect(code).toBe(0)
    expect(result).toMatchObject({ ok: true, uri: 'models:/fraud/1', contract: { inputs: [{ datatype: 'FP32' }] } })
  })

  test('tensors beside the model, which MLflow makes by default, come with it and are bound by a digest', async () => {
    const { code, result } = await fetchByProgram({ uri: 'models:/fraud@split', env, flags: ['--inspect'] })
    expect(code).toBe(0)
    expect(result).toMatchObject({ ok: true, uri: 'models:/fraud/3', contract: { inputs: [{ datatype: 'FP32' }] } })
    expect(result).toMatchObject({ dataSha256: expect.stringMatching(/^[0-9a-f]{64}$/) })
  })

  test.each([
    ['models:/fraud/9', 'does not know version 9 of model "fraud"'],
    ['models:/fraud@challenger', 'does not know alias "challenger" of model "fraud"'],
    ['models:/unknown/1', 'does not know version 1 of model "unknown"'],
    ['models:/unknown@champion', 'does not know alias "champion" of model "unknown"'],
    ['models:/empty/latest', 'no version of model "empty"'],
    ['models:/unknown/latest', 'no version of model "unknown"'],
    [`models:/m-${'0'.repeat(32)}`, 'does not know logged model "m-0000'],
  ])('%s is not there', async (uri, words) => {
    expect(await failureOf({ uri, env })).toMatchObject({ reason: 'NotFound', message: expect.stringContaining(words) })
  })

  test.each([
    ['models:/fraud/Production', 'stage'],
    ['models:/fraud', 'names no model version'],
  ])('%s names nothing', async (uri, words) => {
    const failure = await failureOf({ uri, env })
    expect(failure).toMatchObject({ reason: 'InvalidArgument', message: expect.stringContaining(words) })
  })

  test('without an address there is nobody to ask', async () => {
    const failure = await failureOf({ uri: 'models:/fraud/1' })
    expect(failure).toMatchObject({
      reason: 'InvalidArgument',
      message: expect.stringContaining('MLFLOW_TRACKING_URI'),
    })
  })
})

describe('a server with basic authentication', () => {
  const admin = { MLFLOW_TRACKING_USERNAME: 'admin', MLFLOW_TRACKING_PASSWORD: 'pass: word with 24 chars' }
  const uri = 'models:/fraud@champion'
  let server: MlflowServer

  beforeAll(async () => {
    server = await startMlflow({
      authorization: 'mlflow.server.auth:authenticate_request_basic_auth',
      env: { MLFLOW_AUTH_ADMIN_PASSWORD: admin.MLFLOW_TRACKING_PASSWORD },
      clientEnv: admin,
    })
    await addMlflowUser(server.url, ['stranger', 'another long password'], admin)
  }, INSTALL_TIMEOUT_MS)

  afterAll(() => server?.stop())

  const envWith = (more: Record<string, string>) => ({ MLFLOW_TRACKING_URI: server.url, ...more })

  test('name and password are enough', async () => {
    expect(await fetchedUri({ uri, env: envWith(admin) }, await server.downloaded(1))).toBe('models:/fraud/1')
  })

  test('they may also stand in the address, and do not come out again', async () => {
    const address = new URL(server.url)
    address.username = admin.MLFLOW_TRACKING_USERNAME
    address.password = admin.MLFLOW_TRACKING_PASSWORD
    const asked = { uri, env: { MLFLOW_TRACKING_URI: address.href } }
    expect(await fetchedUri(asked, await server.downloaded(1))).toBe('models:/fraud/1')
    const { output } = await fetchByProgram({ ...asked, uri: 'models:/fraud/9' })
    expect(output).toContain('does not know version 9')
    expect(output).not.toMatch(/pass(:|%3A)(%20| )word/i)
  })

  test.each<[string, Record<string, string>, string]>([
    ['a wrong password', { ...admin, MLFLOW_TRACKING_PASSWORD: 'a wrong password' }, 'these credentials'],
    ['a token instead', { MLFLOW_TRACKING_TOKEN: 'a token that it does not know' }, 'these credentials'],
    ['nothing', {}, 'wants credentials'],
    [
      'a user without permission',
      { MLFLOW_TRACKING_USERNAME: 'stranger', MLFLOW_TRACKING_PASSWORD: 'another long password' },
      'grant READ on it',
    ],
  ])('%s is not', async (_, given, words) => {
    const failure = await failureOf({ uri, env: envWith(given) })
    expect(failure).toMatchObject({ reason: 'Forbidden', message: expect.stringContaining(words) })
  })
})

describe('a server that knows bearer tokens', () => {
  const uri = 'models:/fraud/2'
  const token = 'a-bearer-token-of-a-gateway'
  let server: MlflowServer

  beforeAll(async () => {
    server = await startMlflow({
      authorization: 'bearer_only:authenticate',
      env: { MLFLOW_AUTH_ADMIN_PASSWORD: 'nobody is asked for it', TEST_BEARER_TOKEN: token },
      clientEnv: { MLFLOW_TRACKING_TOKEN: token },
    })
  }, INSTALL_TIMEOUT_MS)

  afterAll(() => server?.stop())

  test('the token is enough', async () => {
    const env = { MLFLOW_TRACKING_URI: server.url, MLFLOW_TRACKING_TOKEN: token }
    expect(await fetchedUri({ uri, env }, await server.downloaded(2))).toBe(uri)
  })

  test('another is not, and does not come out again', async () => {
    const env = { MLFLOW_TRACKING_URI: server.url, MLFLOW_TRACKING_TOKEN: 'another-bearer-token' }
    expect(await failureOf({ uri, env })).toMatchObject({ reason: 'Forbidden' })
  })
})

describe('a server whose artifacts lie in a bucket', () => {
  let moto: Moto
  let server: MlflowServer
  let env: Record<string, string>

  beforeAll(async () => {
    moto = await startMotoWithBucket()
    const artifacts = `s3://${BUCKET}/mlflow`
    server = await startMlflow({
      flags: ['--no-serve-artifacts', `--default-artifact-root=${artifacts}`],
      artifacts,
      clientEnv: { ...moto.keys, MLFLOW_S3_ENDPOINT_URL: moto.url, AWS_DEFAULT_REGION: 'us-east-1' },
    })
    env = { MLFLOW_TRACKING_URI: server.url, ...moto.keys }
    await moto.checkKeys()
  }, INSTALL_TIMEOUT_MS)

  afterAll(async () => {
    await server?.stop()
    await moto?.stop()
  })

  test('it says so', () => expect(server.seeded.source).toMatch(/^s3:\/\/models\/mlflow\//))

  test.each(['AWS_ENDPOINT_URL', 'MLFLOW_S3_ENDPOINT_URL'])('the bucket is asked itself, at %s', async (variable) => {
    const asked = { uri: 'models:/fraud@champion', env: { ...env, [variable]: moto.url } }
    expect(await fetchedUri(asked, await server.downloaded(1))).toBe('models:/fraud/1')
  })

  test("MLflow's own variable goes first, as in MLflow", async () => {
    const both = { AWS_ENDPOINT_URL: 'http://127.0.0.1:9', MLFLOW_S3_ENDPOINT_URL: moto.url }
    expect(await fetchedUri({ uri: 'models:/fraud/2', env: { ...env, ...both } }, await server.downloaded(2))).toBe(
      'models:/fraud/2',
    )
  })

  test('a file of a run needs no MLmodel', async () => {
    const asked = { uri: 'models:/fraud/5', env: { ...env, AWS_ENDPOINT_URL: moto.url } }
    expect(await fetchedUri(asked, await readFile(OTHER_MODEL))).toBe('models:/fraud/5')
  })

  test('a folder without MLmodel cannot be looked through', async () => {
    const failure = await failureOf({ uri: 'models:/fraud/4', env: { ...env, AWS_ENDPOINT_URL: moto.url } })
    expect(failure).toMatchObject({ reason: 'NotFound', message: expect.stringContaining('MLmodel') })
  })

  test.each([
    ['wrong keys', { AWS_SECRET_ACCESS_KEY: 'not-the-secret-key' }, 'SignatureDoesNotMatch'],
    ['no keys', { AWS_ACCESS_KEY_ID: '' }, 'may not be read anonymously'],
  ])('%s: the bucket refuses', async (_, given, words) => {
    const failure = await failureOf({
      uri: 'models:/fraud/1',
      env: { ...env, ...given, AWS_ENDPOINT_URL: moto.url },
    })
    expect(failure).toMatchObject({ reason: 'Forbidden', message: expect.stringContaining(words) })
  })
})

test('the models are two', async () => {
  expect((await readFile(MODEL)).equals(await readFile(OTHER_MODEL))).toBe(false)
})
