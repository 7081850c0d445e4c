/** What a pod is, in place of a key that somebody gave it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { FetchError } from '../fetch-error.ts'
import { fetchModel, type FetchResult } from '../fetch-model.ts'
import type { Environment } from '../environment.ts'
import { CONTAINER_SERVICES } from './aws-credentials.ts'
import { METADATA_SERVER } from './google-metadata.ts'

interface Question {
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

interface Reply {
  readonly status?: number
  readonly headers?: Record<string, string>
  readonly body: string
}

const MODEL = 'the bytes of a model'
const OURS = 'the-token-of-the-service-account'

let folder: string
let server: Server
let host: string
let origin: string
let asked: Question[]
let lines: string[]
/** By the beginning of the path; whatever has none is the model's. */
let replies: Record<string, (question: Question) => Reply>

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'identities-'))
  asked = []
  lines = []
  replies = {}
  server = createServer((request, response) => {
    void request.toArray().then((chunks: Buffer[]) => {
      const question = { path: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks).toString() }
      asked.push(question)
      const begun = Object.keys(replies).find((path) => question.path.startsWith(path))
      const { status = 200, headers = {}, body } = replies[begun ?? '']?.(question) ?? { body: MODEL }
      response.writeHead(status, headers).end(body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  origin = `http://${host}`
})

afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  rmSync(folder, { recursive: true })
})

const json = (value: unknown): Reply => ({ body: JSON.stringify(value) })

function file(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

function fetching(uri: string, env: Environment): Promise<FetchResult> {
  const log = (line: string) => void lines.push(line)
  return fetchModel({ uri, env, out: join(folder, 'out.onnx'), noProgressMs: 10_000, log })
}

async function failureOf(uri: string, env: Environment): Promise<FetchError> {
  const failure = await fetching(uri, env).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(FetchError)
  expect(`${String(failure)}${lines.join()}`).not.toContain(OURS)
  return failure as FetchError
}

/** Law: refused before anything is connected to; a refusal by whoever answers there has another text. */
const NOT_ALLOWED = /^Connecting to \S+ is not allowed/

const pathsAsked = () => asked.map(({ path }) => path.split('?')[0])

describe('EKS Pod Identity', () => {
  const uri = 's3://models/fraud.onnx'
  const environment = (changes: Environment = {}): Environment => ({
    AWS_REGION: 'eu-central-1',
    AWS_ENDPOINT_URL_S3: origin,
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `${origin}/v1/credentials`,
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file('token', `${OURS}\n`),
    ...changes,
  })

  test('signs with what the agent of the node gives for the token of the pod', async () => {
    replies['/v1/credentials'] = () => json({ AccessKeyId: 'AKIDPOD', SecretAccessKey: 's3cret', Token: 'session' })
    await fetching(uri, environment())
    const [agent, object] = asked
    expect(agent?.headers.authorization).toBe(OURS)
    expect(object?.headers.authorization).toMatch(/^AWS4-HMAC-SHA256 Credential=AKIDPOD\//)
    expect(object?.headers['x-amz-security-token']).toBe('session')
  })

  test('is not asked where credentials are given', async () => {
    await fetching(uri, environment({ AWS_ACCESS_KEY_ID: 'AKIDGIVEN', AWS_SECRET_ACCESS_KEY: 's3cret' }))
    expect(pathsAsked()).toEqual(['/models/fraud.onnx'])
  })

  test.each<[string, Reply, RegExp]>([
    ['refuses', { status: 403, body: '{"code":"AccessDenied","message":"no"}' }, /403, AccessDenied.*Pod Identity/],
    ['answers something else', json({ Code: 'Success' }), /without AWS credentials; check AWS_CONTAINER_CREDENTIALS/],
  ])('that %s ends the fetch with the reason', async (_what, reply, message) => {
    replies['/v1/credentials'] = () => reply
    const failure = await failureOf(uri, environment())
    expect([failure.reason, failure.message]).toEqual(['Forbidden', expect.stringMatching(message)])
  })

  test.each([
    'http://169.254.169.254/latest/meta-data/iam',
    'http://10.1.2.3/v1/credentials',
    'http://169.254.170.24/v1/credentials',
    'http://[fd00:ec2::254]/v1/credentials',
  ])('is no way to %s', async (address) => {
    const failure = await failureOf(uri, environment({ AWS_CONTAINER_CREDENTIALS_FULL_URI: address }))
    expect(failure.message).toMatch(NOT_ALLOWED)
    expect(asked).toEqual([])
  })

  test('opens the address of its agent to no model, nor to a redirect', async () => {
    expect((await failureOf('http://169.254.170.23/v1/credentials', environment())).message).toMatch(NOT_ALLOWED)
    replies['/moved'] = () => ({ status: 302, headers: { location: 'http://169.254.170.23/v1/credentials' }, body: '' })
    expect((await failureOf(`${origin}/moved`, environment())).message).toMatch(NOT_ALLOWED)
    replies['/v1/credentials'] = () => ({
      status: 302,
      headers: { location: 'http://169.254.169.254/latest/meta-data' },
      body: '',
    })
    expect((await failureOf(uri, environment())).message).toMatch(NOT_ALLOWED)
  })
})

test('a web identity is shown to AWS_ENDPOINT_URL, where that is all there is', async () => {
  replies['/'] = ({ body }) =>
    body.includes('AssumeRoleWithWebIdentity')
      ? { body: '<AccessKeyId>AKIDWEB</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>' }
      : { body: MODEL }
  await fetching('s3://models/fraud.onnx', {
    AWS_ENDPOINT_URL: origin,
    AWS_ROLE_ARN: 'arn:aws:iam::1:role/r',
    AWS_WEB_IDENTITY_TOKEN_FILE: file('token', OURS),
  })
  expect(new URLSearchParams(asked[0]?.body).get('WebIdentityToken')).toBe(OURS)
  expect(asked[1]?.headers.authorization).toContain('Credential=AKIDWEB/')
})

describe('the metadata server of Google Cloud', () => {
  const uri = 'gs://models/fraud.onnx'
  const environment = (changes: Environment = {}): Environment => ({
    STORAGE_EMULATOR_HOST: host,
    GCE_METADATA_HOST: host,
    ...changes,
  })
  const flavored = (reply: Reply): Reply => ({ ...reply, headers: { 'metadata-flavor': 'Google' } })

  test('gives the token of the service account, if it is one', async () => {
    replies['/computeMetadata/'] = () => flavored(json({ access_token: 'ya29.of-the-pod', expires_in: 3599 }))
    await fetching(uri, environment())
    const [metadata, object] = asked
    expect([metadata?.path, metadata?.headers['metadata-flavor']]).toEqual([
      '/computeMetadata/v1/instance/service-accounts/default/token',
      'Google',
    ])
    expect(object?.headers.authorization).toBe('Bearer ya29.of-the-pod')
  })

  test.each<[string, Reply]>([
    ['is none', json({ access_token: 'ya29.of-somebody' })],
    ['has no service account', flavored({ status: 404, body: '' })],
    ['refuses', flavored({ status: 403, body: '' })],
    ['says nothing of use', flavored(json({}))],
  ])('that %s leaves the fetch anonymous', async (_what, reply) => {
    replies['/computeMetadata/'] = () => reply
    await fetching(uri, environment())
    expect(asked.at(-1)?.headers.authorization).toBeUndefined()
  })

  test.each<[string, Environment]>([
    ['is said not to be there', { NO_GCE_CHECK: 'true' }],
    ['is Google’s own and the storage is not', { GCE_METADATA_HOST: '' }],
    ['is not needed', { GOOGLE_OAUTH_ACCESS_TOKEN: 'ya29.given' }],
  ])('is not asked where it %s', async (_what, changes) => {
    await fetching(uri, environment(changes))
    expect(pathsAsked()).toEqual(['/storage/v1/b/models/o/fraud.onnx'])
  })

  test('is at no other address that is denied, and opens its own to no model', async () => {
    await fetching(uri, environment({ GCE_METADATA_HOST: '169.254.170.23' }))
    expect(lines.join()).toMatch(/Connecting to 169\.254\.170\.23 is not allowed.*asked anonymously/)
    const own = 'http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token'
    expect((await failureOf(own, environment())).message).toMatch(NOT_ALLOWED)
  })
})

describe('an external account of Google Cloud', () => {
  const uri = 'gs://models/fraud.onnx'
  const account = (changes: object = {}) => ({
    type: 'external_account',
    audience: '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k8s',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: `${origin}/sts`,
    credential_source: { file: file('token', `${OURS}\n`) },
    ...changes,
  })
  const environment = (changes: object = {}): Environment => ({
    STORAGE_EMULATOR_HOST: host,
    GOOGLE_APPLICATION_CREDENTIALS: JSON.stringify(account(changes)),
  })

  beforeEach(() => {
    replies['/sts'] = () => json({ access_token: 'federated', token_type: 'Bearer' })
    replies['/impersonate'] = () => json({ accessToken: 'of-the-account', expireTime: '2030-01-01T00:00:00Z' })
  })

  test('exchanges the token of its file', async () => {
    await fetching(uri, environment())
    const form = Object.fromEntries(new URLSearchParams(asked[0]?.body))
    expect(form).toMatchObject({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      audience: account().audience,
      subject_token: OURS,
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      scope: 'https://www.googleapis.com/auth/devstorage.read_only',
    })
    expect(asked[1]?.headers.authorization).toBe('Bearer federated')
  })

  test('reads a field of a file that is JSON, and stands for a service account', async () => {
    const format = { type: 'json', subject_token_field_name: 'jwt' }
    const credential_source = { file: file('token.json', JSON.stringify({ jwt: OURS })), format }
    await fetching(uri, environment({ credential_source, service_account_impersonation_url: `${origin}/impersonate` }))
    expect(new URLSearchParams(asked[0]?.body).get('subject_token')).toBe(OURS)
    expect(asked[1]).toMatchObject({ path: '/impersonate', headers: { authorization: 'Bearer federated' } })
    expect(JSON.parse(asked[1]?.body ?? '')).toMatchObject({ lifetime: '3600s' })
    expect(asked[2]?.headers.authorization).toBe('Bearer of-the-account')
  })

  test.each<[string, () => object, string, RegExp]>([
    ['takes its token from elsewhere', () => ({ credential_source: { url: origin } }), 'UnsupportedSource', /no file/],
    [
      'has no such field',
      () => ({
        credential_source: { file: file('x', '{}'), format: { type: 'json', subject_token_field_name: 'jwt' } },
      }),
      'InvalidArgument',
      /no text in "jwt"/,
    ],
    ['is refused', () => ({ token_url: `${origin}/refused` }), 'Forbidden', /no token \(status 400\); check audience/],
    [
      'may not stand for its account',
      () => ({ service_account_impersonation_url: `${origin}/refused` }),
      'Forbidden',
      /status 400\); grant it roles\/iam\.workloadIdentityUser/,
    ],
  ])('that %s ends the fetch with the reason', async (_what, changes, reason, message) => {
    replies['/refused'] = () => ({ status: 400, body: '{"error":"invalid_grant"}' })
    const failure = await failureOf(uri, environment(changes()))
    expect([failure.reason, failure.message]).toEqual([reason, expect.stringMatching(message)])
  })
})

test('variables of Azure that are empty are not there', async () => {
  const env = { AZURE_CLIENT_ID: '', AZURE_TENANT_ID: '', AZURE_FEDERATED_TOKEN_FILE: '', AZURE_STORAGE_KEY: '' }
  const endpoint = `BlobEndpoint=${origin}/account`
  await fetching('az://account/models/fraud.onnx', { ...env, AZURE_STORAGE_CONNECTION_STRING: endpoint })
  expect(asked.map(({ headers }) => headers.authorization)).toEqual([undefined])
})

describe('addresses that are open for credentials', () => {
  test.each([
    ['AWS', CONTAINER_SERVICES, ['127.0.0.1', '::1', '169.254.170.2', '169.254.170.23', 'fd00:ec2::23']],
    ['Google', METADATA_SERVER, ['169.254.169.254', 'fd20:ce::254']],
  ])('%s: its own', (_cloud, policy, addresses) => {
    expect(addresses.filter((address) => !policy.allows(address))).toEqual([])
  })

  test.each([
    [
      'AWS',
      CONTAINER_SERVICES,
      ['169.254.169.254', '169.254.170.24', 'fd00:ec2::254', '10.0.0.1', '192.0.2.1', 'name'],
    ],
    [
      'Google',
      METADATA_SERVER,
      ['169.254.170.23', '169.254.169.253', 'fd20:ce::253', '127.0.0.1', '192.0.2.1', 'name'],
    ],
  ])('%s: no other', (_cloud, policy, addresses) => {
    expect(addresses.filter((address) => policy.allows(address))).toEqual([])
  })
})
