import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { modelPath } from '../../server-image/serve/testing.ts'
import { failureOf, fetchByProgram, fetchedUri, ODD_NAMES, refusalOf, REFUSED_FLAGS } from './fetching.ts'
import { INSTALL_TIMEOUT_MS, pythonOf, runScript, startMoto } from './python-programs.ts'
import { startS3, VIRTUAL_DOMAIN, type S3Server } from './s3-server.ts'
import type { ServerProcess } from './server-process.ts'

const bytes = randomBytes(300_000)
const model = readFileSync(modelPath('mlp20'))
const anonymously = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' }

let folder: string
let s3: S3Server
let versions: readonly (string | null)[]

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'penstock-s3-test-'))
  const file = join(folder, 'bytes')
  writeFileSync(file, bytes)
  s3 = await startS3()
  versions = await s3.put(
    {
      name: 'versioned',
      versioned: true,
      objects: [modelPath('mlp20'), file].map((each) => ({ key: 'm.onnx', file: each })),
    },
    { name: 'models', objects: ['fraud/3/model.onnx', ...ODD_NAMES].map((key) => ({ key, file })) },
    { name: 'open', public: true, objects: [{ key: 'm.onnx', file }] },
    { name: 'dots.in.name', objects: [{ key: 'm.onnx', file }] },
  )
}, INSTALL_TIMEOUT_MS)
afterAll(async () => {
  await s3.stop()
  rmSync(folder, { recursive: true })
})

test.each(ODD_NAMES)('the object "%s" is fetched with a signature', async (key) => {
  await fetchedUri({ uri: `s3://models/${key}`, env: s3.env }, bytes)
})

test('anybody fetches from a public bucket', async () => {
  await fetchedUri({ uri: 's3://open/m.onnx', env: { AWS_ENDPOINT_URL: s3.url } }, bytes)
})

test.each(['open', 'dots.in.name'])('bucket "%s" is a part of the host name when it is told to be', async (bucket) => {
  const { port } = new URL(s3.url)
  const env = {
    ...s3.env,
    AWS_ENDPOINT_URL: `http://${VIRTUAL_DOMAIN}:${port}`,
    AWS_S3_FORCE_PATH_STYLE: 'false',
    NODE_OPTIONS: `--import=${pathToFileURL(join(import.meta.dirname, 'names.mjs')).href}`,
  }
  await fetchedUri({ uri: `s3://${bucket}/m.onnx`, env }, bytes)
})

test('the keys may be in the shared credentials file, under a profile', async () => {
  const path = join(folder, 'credentials')
  const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret, ...place } = s3.env
  writeFileSync(
    path,
    `[default]\naws_access_key_id = other\naws_secret_access_key = other\n[ models ]\naws_access_key_id=${id}\naws_secret_access_key=${secret}\n`,
  )
  const env = { ...place, AWS_SHARED_CREDENTIALS_FILE: path }
  const asked = { uri: 's3://models/fraud/3/model.onnx', env, secrets: [secret ?? ''] }
  await fetchedUri({ ...asked, env: { ...env, AWS_PROFILE: 'models' } }, bytes)
  expect(await failureOf(asked)).toMatchObject({ reason: 'Forbidden' })
  expect(await failureOf({ ...asked, env: { ...env, AWS_PROFILE: 'nobody' } })).toMatchObject({
    reason: 'InvalidArgument',
    message: expect.stringContaining('AWS_PROFILE'),
  })
})

describe('an object of a versioned bucket', () => {
  test('is named by its version, and fetched by it after it was overwritten', async () => {
    const [first, second] = versions
    const newest = await fetchedUri({ uri: 's3://versioned/m.onnx', env: s3.env }, bytes)
    expect(newest).toBe(`s3://versioned/m.onnx?versionId=${second}`)
    await fetchedUri({ uri: newest, env: s3.env }, bytes)
    const uri = `s3://versioned/m.onnx?versionId=${first}`
    const { code, result } = await fetchByProgram({ uri, env: s3.env, flags: ['--inspect'] })
    const sha256 = createHash('sha256').update(model).digest('hex')
    expect([code, result]).toMatchObject([0, { ok: true, uri, sha256, sizeBytes: model.length }])
  })

  test.each(['01JDCXQ0V9W0D6CVQ1Y1W9K3Q0', 'nonsense'])('is missing in version "%s"', async (version) => {
    const uri = `s3://versioned/m.onnx?versionId=${version}`
    expect(await failureOf({ uri, env: s3.env })).toMatchObject({
      reason: 'NotFound',
      message: expect.stringContaining(`version "${version}"`),
    })
  })
})

describe('a refusal says what to do', () => {
  const good = 's3://models/fraud/3/model.onnx'
  test.each<[string, string, Record<string, string>, RegExp]>([
    ['a wrong secret', good, { AWS_SECRET_ACCESS_KEY: 'wrong-secret' }, /^Forbidden: .*SignatureDoesNotMatch/],
    ['an unknown key', good, { AWS_ACCESS_KEY_ID: 'UNKNOWN-KEY' }, /^Forbidden: .*InvalidAccessKeyId/],
    ['a made-up session', good, { AWS_SESSION_TOKEN: 'made-up-token' }, /^Forbidden: .*not accepted/],
    ['half of the credentials', good, { AWS_SECRET_ACCESS_KEY: '' }, /^InvalidArgument: .*AWS_SECRET_ACCESS_KEY/],
    ['a private bucket', good, anonymously, /^Forbidden: .*credentialsSecretRef/],
    ['another region', good, { AWS_REGION: 'us-east-1' }, /^InvalidArgument: .*AWS_REGION=eu-central-7/],
    ['a missing object', 's3://models/none.onnx', {}, /^NotFound: .*check the key/],
    ['a missing bucket', 's3://nowhere/m.onnx', {}, /^NotFound: .*no bucket "nowhere"/],
    ['a folder', 's3://models/fraud/3/', {}, /^InvalidArgument: .*names no object/],
    ['a prefix', 's3://models/fraud/3', {}, /^NotFound: .*check the key/],
    ['steps up', 's3://models/a/../fraud/3/model.onnx', {}, /^InvalidArgument: .*"\.\."/],
  ])('%s', async (_what, uri, env, told) => {
    expect(await refusalOf({ uri, env: { ...s3.env, ...env } })).toMatch(told)
  })

  test('credentials without a grant', async () => {
    expect(await failureOf({ uri: good, env: s3.strangersEnv })).toMatchObject({
      reason: 'Forbidden',
      message: expect.stringContaining('s3:GetObject'),
    })
  })

  test.each(REFUSED_FLAGS)('%s', async (flag, told) => {
    expect(await refusalOf({ uri: good, env: s3.env, flags: [flag] })).toMatch(told)
  })

  test('--max-bytes is met by a file of just that size', async () => {
    await fetchedUri({ uri: good, env: s3.env, flags: ['--max-bytes=300000'] }, bytes)
  })
})

describe('a web identity', () => {
  let moto: ServerProcess
  beforeAll(async () => {
    moto = await startMoto()
    const plan = [{ name: 'models', objects: [{ key: 'm.onnx', file: join(folder, 'bytes') }] }]
    await runScript(await pythonOf('moto'), { name: 'put_objects', args: [moto.url, 'a', 'b', JSON.stringify(plan)] })
    writeFileSync(join(folder, 'token'), 'the.token.of-a-service-account\n')
  }, INSTALL_TIMEOUT_MS)
  afterAll(() => moto.stop())

  const role = 'arn:aws:iam::123456789012:role/models'
  const asked = (token: string) => ({
    uri: 's3://models/m.onnx',
    secrets: ['the.token.of-a-service-account'],
    env: {
      AWS_ENDPOINT_URL: moto.url,
      AWS_ENDPOINT_URL_STS: moto.url,
      AWS_ROLE_ARN: role,
      AWS_WEB_IDENTITY_TOKEN_FILE: join(folder, token),
    },
  })

  test('gets credentials for the role', () => fetchedUri(asked('token'), bytes))

  test('that is not mounted is asked for by the name of its variable', async () => {
    expect(await failureOf(asked('none'))).toMatchObject({
      reason: 'InvalidArgument',
      message: expect.stringContaining('AWS_WEB_IDENTITY_TOKEN_FILE'),
    })
  })
})
