/** How to be let in to an account of Azure Storage, by the variables that Azure's tools and SDKs know. */
import { createHmac } from 'node:crypto'
import type { OutgoingHttpHeaders } from 'node:http'
import type { Authorize } from '../authorize.ts'
import { readJson } from '../document.ts'
import { FetchError } from '../fetch-error.ts'
import type { Environment } from '../environment.ts'
import type { Remote } from '../persist.ts'
import { readCredentialFile } from './aws-credentials.ts'
import { webUrl } from './http.ts'

const SERVICE_VERSION = '2023-11-03'

export interface AzureAccess {
  readonly kind: 'anonymous' | 'sas' | 'key' | 'identity'
  /** Of the blob service, when it is not Azure's own. */
  readonly endpoint: string | undefined
  readonly sas?: URLSearchParams
  readonly authorize?: Authorize
}

/** @throws FetchError */
export async function azureAccess(remote: Remote, account: string): Promise<AzureAccess> {
  const { env } = remote
  const settings = settingsOf(env)
  const endpoint = settings.get('BlobEndpoint') ?? nonEmpty(env['AZURE_STORAGE_SERVICE_ENDPOINT'])
  const version = { 'x-ms-version': SERVICE_VERSION }
  // Law: an account's SAS and key are for that account only.
  const isOurs = (settings.get('AccountName') ?? nonEmpty(env['AZURE_STORAGE_ACCOUNT']) ?? account) === account
  const sas = nonEmpty(env['AZURE_STORAGE_SAS_TOKEN']) ?? settings.get('SharedAccessSignature')
  if (isOurs && sas !== undefined) {
    return { kind: 'sas', endpoint, sas: new URLSearchParams(sas.trim()), authorize: () => version }
  }
  const key = nonEmpty(env['AZURE_STORAGE_KEY']) ?? settings.get('AccountKey')
  if (isOurs && key !== undefined) return { kind: 'key', endpoint, authorize: sharedKey(account, key.trim()) }
  const token = await entraToken(remote)
  if (token === undefined) return { kind: 'anonymous', endpoint, authorize: () => version }
  return { kind: 'identity', endpoint, authorize: () => ({ ...version, authorization: `Bearer ${token}` }) }
}

/** `Name=value;...`; values may hold `=`. */
function settingsOf(env: Environment): ReadonlyMap<string, string> {
  const pairs = (env['AZURE_STORAGE_CONNECTION_STRING'] ?? '').split(';').filter((pair) => pair.includes('='))
  return new Map(
    pairs.map((pair) => [pair.slice(0, pair.indexOf('=')).trim(), pair.slice(pair.indexOf('=') + 1).trim()]),
  )
}

/** https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key */
function sharedKey(account: string, key: string): Authorize {
  return ({ method, url, headers }) => {
    const ms: OutgoingHttpHeaders = { 'x-ms-date': new Date().toUTCString(), 'x-ms-version': SERVICE_VERSION }
    const canonicalHeaders = Object.entries(ms).map(([name, value]) => `${name}:${String(value)}`)
    const query = [...url.searchParams].map(([name, value]) => `${name.toLowerCase()}:${value}`).sort()
    const resource = [`/${account}${url.pathname}`, ...query]
    const range = headers['range']
    // Method; nine standard headers that a read does not send; Range.
    const lines = [method, ...new Array<string>(10).fill(''), typeof range === 'string' ? range : '']
    const text = [...lines, ...canonicalHeaders, ...resource].join('\n')
    const signature = createHmac('sha256', Buffer.from(key, 'base64')).update(text).digest('base64')
    return { ...ms, authorization: `SharedKey ${account}:${signature}` }
  }
}

/** Workload identity (a projected service account token) or a client secret. Undefined: neither is set. */
async function entraToken(remote: Remote): Promise<string | undefined> {
  const { env } = remote
  const [client_id, tenant, file] = ['AZURE_CLIENT_ID', 'AZURE_TENANT_ID', 'AZURE_FEDERATED_TOKEN_FILE'].map((name) =>
    nonEmpty(env[name]),
  )
  const secret = nonEmpty(env['AZURE_CLIENT_SECRET'])
  if (client_id === undefined || tenant === undefined || (file === undefined && secret === undefined)) return undefined
  const proof: Record<string, string> =
    secret === undefined
      ? {
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: (await readCredentialFile(file ?? '', 'AZURE_FEDERATED_TOKEN_FILE')).trim(),
        }
      : { client_secret: secret }
  const host = nonEmpty(env['AZURE_AUTHORITY_HOST']) ?? 'https://login.microsoftonline.com'
  const url = webUrl(
    `${host.replace(/\/$/, '')}/${encodeURIComponent(tenant)}/oauth2/v2.0/token`,
    'AZURE_AUTHORITY_HOST',
  )
  const answer = await readJson(remote, {
    url,
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      scope: 'https://storage.azure.com/.default',
      client_id,
      ...proof,
    }).toString(),
    explain: ({ status }) =>
      new FetchError(
        'Forbidden',
        `Entra ID gives client ${client_id} no token (status ${status}); check AZURE_TENANT_ID, AZURE_CLIENT_ID and its federated credential or secret.`,
      ),
  })
  const token = (answer as { access_token?: unknown }).access_token
  if (typeof token === 'string') return token
  throw new FetchError('Forbidden', `${url.host} answered without an access token; check AZURE_AUTHORITY_HOST.`)
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}
