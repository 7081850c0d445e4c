import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { ACCOUNT, KEY, startAzure, type AzureServer } from './azure-server.ts'
import { failureOf, fetchedUri, ODD_NAMES, refusalOf, REFUSED_FLAGS } from './fetching.ts'
import { START_TIMEOUT_MS } from './server-process.ts'

const NAME = 'fraud/3/model.onnx'
const bytes = randomBytes(300_000)
const uriOf = (container: string, name: string) => `az://${ACCOUNT}/${container}/${name}`

let folder: string
let azure: AzureServer
/** Shared access signatures, as queries. */
let readAll: string
let readOne: string
let writeOnly: string
let expired: string

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'penstock-azure-test-'))
  const file = join(folder, 'bytes')
  writeFileSync(file, bytes)
  azure = await startAzure()
  const signatures = await azure.put({
    containers: [
      { name: 'models', blobs: [NAME, ...ODD_NAMES].map((name) => ({ name, file })) },
      { name: 'open', access: 'blob', blobs: [{ name: 'm.onnx', file }] },
      { name: '$root', blobs: [{ name: 'm.onnx', file }] },
    ],
    signatures: [
      { container: 'models', permissions: 'r', expiresInSeconds: 600 },
      { container: 'models', blob: NAME, permissions: 'r', expiresInSeconds: 600 },
      { container: 'models', blob: NAME, permissions: 'w', expiresInSeconds: 600 },
      { container: 'models', blob: NAME, permissions: 'r', expiresInSeconds: -60 },
    ],
  })
  ;[readAll = '', readOne = '', writeOnly = '', expired = ''] = signatures
}, START_TIMEOUT_MS)
afterAll(async () => {
  await azure.stop()
  rmSync(folder, { recursive: true })
})

const at = () => ({ AZURE_STORAGE_SERVICE_ENDPOINT: azure.endpoint })
const byKey = () => ({ ...at(), AZURE_STORAGE_KEY: KEY })
const signatureIn = (sas: string) => [new URLSearchParams(sas).get('sig') ?? '']

describe.each(ODD_NAMES)('the blob "%s"', (name) => {
  test('is fetched with the key', () => fetchedUri({ uri: uriOf('models', name), env: byKey() }, bytes))

  test('is fetched with a signature', async () => {
    const env = { ...at(), AZURE_STORAGE_SAS_TOKEN: readAll }
    await fetchedUri({ uri: uriOf('models', name), env, secrets: signatureIn(readAll) }, bytes)
  })
})

test('a signature may begin with its question mark, and be for one blob', async () => {
  const env = { ...at(), AZURE_STORAGE_SAS_TOKEN: `?${readOne}` }
  await fetchedUri({ uri: uriOf('models', NAME), env, secrets: signatureIn(readOne) }, bytes)
})

test('a signature may be in the URL itself', async () => {
  const uri = `${azure.endpoint}/models/${NAME}?${readOne}`
  await fetchedUri({ uri, secrets: signatureIn(readOne) }, bytes)
})

describe('a connection string', () => {
  test('has all that is needed', async () => {
    const env = { AZURE_STORAGE_CONNECTION_STRING: azure.connectionString }
    await fetchedUri({ uri: uriOf('models', NAME), env, secrets: [KEY] }, bytes)
  })

  test('may have a signature', async () => {
    const text = `BlobEndpoint=${azure.endpoint};SharedAccessSignature=${readAll}`
    const env = { AZURE_STORAGE_CONNECTION_STRING: text }
    await fetchedUri({ uri: uriOf('models', NAME), env, secrets: signatureIn(readAll) }, bytes)
  })
})

test('anybody fetches from a public container', () => fetchedUri({ uri: uriOf('open', 'm.onnx'), env: at() }, bytes))

test('the root container is one of them', () => fetchedUri({ uri: uriOf('$root', 'm.onnx'), env: byKey() }, bytes))

describe('a refusal says what to do', () => {
  const wrongKey = Buffer.from('wrong').toString('base64')
  test.each<[string, string, () => Record<string, string>, RegExp]>([
    ['a wrong key', NAME, () => ({ AZURE_STORAGE_KEY: wrongKey }), /^Forbidden: .*AZURE_STORAGE_KEY/],
    ['nothing', NAME, () => ({}), /^Forbidden: .*credentialsSecretRef/],
    ['an expired signature', NAME, () => ({ AZURE_STORAGE_SAS_TOKEN: expired }), /^Forbidden: .*has not expired/],
    ['a signature to write', NAME, () => ({ AZURE_STORAGE_SAS_TOKEN: writeOnly }), /^Forbidden: .*read permission/],
    ['a signature for another', 'a/b.onnx', () => ({ AZURE_STORAGE_SAS_TOKEN: readOne }), /^Forbidden: .*new SAS/],
    ['a missing blob', 'none.onnx', byKey, /^NotFound: .*BlobNotFound.*check container and path/],
    ['a folder', 'fraud/3/', byKey, /^InvalidArgument: .*names no blob/],
    ['a prefix', 'fraud/3', byKey, /^NotFound: .*BlobNotFound/],
  ])('%s', async (_what, name, env, told) => {
    expect(
      await refusalOf({
        uri: uriOf('models', name),
        env: { ...at(), ...env() },
        secrets: [readOne, writeOnly, expired].flatMap(signatureIn),
      }),
    ).toMatch(told)
  })

  test('a missing container', async () => {
    expect(await failureOf({ uri: uriOf('nowhere', NAME), env: byKey() })).toMatchObject({
      reason: 'NotFound',
      message: expect.stringContaining('ContainerNotFound'),
    })
  })

  test('the key of another account is not sent', async () => {
    const env = { ...byKey(), AZURE_STORAGE_ACCOUNT: 'another' }
    const { message } = await failureOf({ uri: uriOf('models', NAME), env })
    expect(message).toContain('give AZURE_STORAGE_SAS_TOKEN or AZURE_STORAGE_KEY')
  })

  test.each(REFUSED_FLAGS)('%s', async (flag, told) => {
    expect(await refusalOf({ uri: uriOf('models', NAME), env: byKey(), flags: [flag] })).toMatch(told)
  })
})
