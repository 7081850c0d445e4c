/** Azure with TLS, and tokens: Azurite checks what a token claims, and the service here that gives it who asks for it. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { ACCOUNT, KEY, startAzure, type AzureServer } from './azure-server.ts'
import { failureOf, fetchedUri } from './fetching.ts'
import { START_TIMEOUT_MS } from './server-process.ts'

const TENANT = 'ab1f708d-50f6-404c-a006-d71b2ac7a606'
const CLIENT = '4c1d3fd0-4d7d-4b5e-8f6e-8d1f2f0a7f11'
const SECRET = 'the~secret.of~the~client'
const ASSERTION = 'the.assertion.of-a-service-account'
const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const bytes = randomBytes(300_000)

let folder: string
let azure: AzureServer
let entra: Server
let authority: string
let tokens: string[]
/** What the next tokens are for. */
let audience: string

function tokenFor(form: URLSearchParams): string | undefined {
  const isAsked =
    form.get('grant_type') === 'client_credentials' &&
    form.get('scope') === 'https://storage.azure.com/.default' &&
    form.get('client_id') === CLIENT
  const isProven =
    form.get('client_secret') === SECRET ||
    (form.get('client_assertion') === ASSERTION && form.get('client_assertion_type') === ASSERTION_TYPE)
  if (!isAsked || !isProven) return undefined
  const now = Math.floor(Date.now() / 1000)
  const claims = { aud: audience, iss: `https://sts.windows.net/${TENANT}/`, iat: now, nbf: now - 10, exp: now + 3600 }
  const parts = [{ alg: 'RS256', typ: 'JWT' }, claims].map((part) => Buffer.from(JSON.stringify(part)))
  return `${parts.map((part) => part.toString('base64url')).join('.')}.c2lnbmVk`
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'penstock-entra-test-'))
  tokens = []
  entra = createServer((request, response) => {
    void request.toArray().then((chunks: Buffer[]) => {
      const token =
        request.url === `/${TENANT}/oauth2/v2.0/token`
          ? tokenFor(new URLSearchParams(Buffer.concat(chunks).toString()))
          : undefined
      if (token === undefined) return response.writeHead(401).end('{"error":"invalid_client"}')
      tokens.push(token)
      return response.end(JSON.stringify({ token_type: 'Bearer', expires_in: 3599, access_token: token }))
    })
  })
  await new Promise<void>((resolve) => entra.listen(0, '127.0.0.1', resolve))
  authority = `http://127.0.0.1:${(entra.address() as AddressInfo).port}/`
  writeFileSync(join(folder, 'bytes'), bytes)
  writeFileSync(join(folder, 'assertion'), `${ASSERTION}\n`)
  azure = await startAzure('https')
  const blobs = [{ name: 'm.onnx', file: join(folder, 'bytes') }]
  await azure.put({ containers: [{ name: 'models', blobs }] })
}, START_TIMEOUT_MS)
afterAll(async () => {
  await azure.stop()
  await new Promise((resolve) => entra.close(resolve))
  rmSync(folder, { recursive: true })
})

const uri = `az://${ACCOUNT}/models/m.onnx`
const trusting = () => ({ AZURE_STORAGE_SERVICE_ENDPOINT: azure.endpoint, ...azure.trust })
const identity = () => ({
  ...trusting(),
  AZURE_AUTHORITY_HOST: authority,
  AZURE_TENANT_ID: TENANT,
  AZURE_CLIENT_ID: CLIENT,
})

test('the key is enough over TLS', () => fetchedUri({ uri, env: { ...trusting(), AZURE_STORAGE_KEY: KEY } }, bytes))

test('a certificate that nobody vouches for is refused before anything is sent', async () => {
  const env = { AZURE_STORAGE_SERVICE_ENDPOINT: azure.endpoint, AZURE_STORAGE_KEY: KEY }
  expect(await failureOf({ uri, env })).toMatchObject({
    reason: 'Forbidden',
    message: expect.stringContaining('NODE_EXTRA_CA_CERTS'),
  })
})

test.each([
  ['a workload identity', () => ({ AZURE_FEDERATED_TOKEN_FILE: join(folder, 'assertion') })],
  ["a client's secret", () => ({ AZURE_CLIENT_SECRET: SECRET })],
])('%s gets a token that opens the storage', async (_what, proof) => {
  audience = 'https://storage.azure.com'
  tokens = []
  await fetchedUri({ uri, env: { ...identity(), ...proof() }, secrets: [ASSERTION] }, bytes)
  expect(tokens).toHaveLength(1)
})

test('a token for something else opens nothing', async () => {
  audience = 'https://vault.azure.net'
  const failure = await failureOf({ uri, env: { ...identity(), AZURE_CLIENT_SECRET: SECRET } })
  expect(failure).toMatchObject({ reason: 'Forbidden', message: expect.stringContaining('Storage Blob Data Reader') })
  expect(failure.message).not.toContain(tokens.at(-1))
})

test('an identity that Entra does not accept is told so', async () => {
  const failure = await failureOf({ uri, env: { ...identity(), AZURE_CLIENT_SECRET: 'not-the-secret' } })
  expect(failure).toMatchObject({ reason: 'Forbidden', message: expect.stringContaining('AZURE_TENANT_ID') })
})
