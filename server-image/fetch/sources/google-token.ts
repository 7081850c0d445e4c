/**
 * Access tokens of Google Cloud: given as they are, got for the credentials in `GOOGLE_APPLICATION_CREDENTIALS` (a path, or the JSON
 * itself, as a Secret's key holds it), or from the metadata server of GKE and Compute Engine, in this order.
 * A service account's key signs a JWT (RFC 7523); a user's brings a refresh token (RFC 6749, 6); an external account's token in a file
 * is exchanged (RFC 8693; https://google.aip.dev/auth/4117).
 */
import { createSign } from 'node:crypto'
import { readJson } from '../document.ts'
import { FetchError } from '../fetch-error.ts'
import type { Remote } from '../persist.ts'
import { readCredentialFile } from './aws-credentials.ts'
import { metadataToken } from './google-metadata.ts'
import { webUrl } from './http.ts'

const VARIABLE = 'GOOGLE_APPLICATION_CREDENTIALS'
const SCOPE = 'https://www.googleapis.com/auth/devstorage.read_only'
/** What a token must be for that is to stand for a service account. */
const IMPERSONATION_SCOPE = 'https://www.googleapis.com/auth/cloud-platform'
const DEFAULT_TOKEN_URL = 'https://oauth2.googleapis.com/token'
const DEFAULT_EXCHANGE_URL = 'https://sts.googleapis.com/v1/token'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
const LIFETIME_SECONDS = 3600

/** Undefined: ask anonymously. @throws FetchError */
export async function googleToken(remote: Remote): Promise<string | undefined> {
  const { env } = remote
  const given = [env['GOOGLE_OAUTH_ACCESS_TOKEN'], env['CLOUDSDK_AUTH_ACCESS_TOKEN']].find(
    (each) => (each ?? '') !== '',
  )
  if (given !== undefined) return given.trim()
  const text = env[VARIABLE] ?? ''
  if (text === '') return metadataToken(remote)
  const key = parseKey(text.trimStart().startsWith('{') ? text : await readCredentialFile(text, VARIABLE))
  if (key.type === 'external_account') return externalToken(remote, key)
  const url = webUrl(key.token_uri ?? DEFAULT_TOKEN_URL, `token_uri in ${VARIABLE}`)
  return askForToken(remote, {
    url,
    form: grantOf(key, url),
    remedy: 'check that it is neither deleted nor disabled, and the clock',
  })
}

interface Key {
  readonly type?: string
  readonly token_uri?: string
  readonly client_id?: string
  readonly client_secret?: string
  readonly refresh_token?: string
  readonly client_email?: string
  readonly private_key_id?: string
  readonly private_key?: string
  readonly audience?: string
  readonly subject_token_type?: string
  readonly token_url?: string
  readonly service_account_impersonation_url?: string
  readonly service_account_impersonation?: { readonly token_lifetime_seconds?: number }
  readonly credential_source?: {
    readonly file?: string
    readonly format?: { readonly type?: string; readonly subject_token_field_name?: string }
  }
}

function parseKey(text: string): Key {
  try {
    return JSON.parse(text) as Key
  } catch {
    throw new FetchError('InvalidArgument', `${VARIABLE} holds no JSON; give the key file as it was downloaded.`)
  }
}

interface TokenRequest {
  readonly url: URL
  readonly form: Readonly<Record<string, string>>
  readonly remedy: string
}

async function askForToken(remote: Remote, { url, form, remedy }: TokenRequest): Promise<string> {
  const answer = await readJson(remote, {
    url,
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(form).toString(),
    explain: ({ status }) =>
      new FetchError('Forbidden', `Google accepts the key in ${VARIABLE} for no token (status ${status}); ${remedy}.`),
  })
  const token = (answer as { access_token?: unknown }).access_token
  if (typeof token === 'string') return token
  throw new FetchError('Forbidden', `${url.host} answered without an access token; check token_uri in ${VARIABLE}.`)
}

function grantOf(key: Key, url: URL): Record<string, string> {
  const { type, client_id = '', client_secret = '', refresh_token = '' } = key
  if (type === 'authorized_user') return { grant_type: 'refresh_token', client_id, client_secret, refresh_token }
  if (type === 'service_account') {
    return { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: assertionOf(key, url) }
  }
  throw new FetchError(
    'UnsupportedSource',
    `${VARIABLE} is of type "${String(type).slice(0, 40)}"; use a service_account key, an external_account, or GOOGLE_OAUTH_ACCESS_TOKEN.`,
  )
}

function assertionOf(key: Key, url: URL): string {
  const now = Math.floor(Date.now() / 1000)
  const header = { alg: 'RS256', typ: 'JWT', kid: key.private_key_id }
  const claims = { iss: key.client_email, scope: SCOPE, aud: url.href, iat: now, exp: now + LIFETIME_SECONDS }
  const signed = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  try {
    return `${signed}.${createSign('RSA-SHA256')
      .update(signed)
      .sign(key.private_key ?? '', 'base64url')}`
  } catch {
    throw new FetchError(
      'InvalidArgument',
      `The private_key in ${VARIABLE} is not a PEM key; give the key file as it was downloaded.`,
    )
  }
}

/** The identity of another cluster or cloud, for its own rights or in the name of a service account. */
async function externalToken(remote: Remote, key: Key): Promise<string> {
  const impersonation = key.service_account_impersonation_url
  const token = await askForToken(remote, {
    url: webUrl(key.token_url ?? DEFAULT_EXCHANGE_URL, `token_url in ${VARIABLE}`),
    form: {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      audience: key.audience ?? '',
      scope: impersonation === undefined ? SCOPE : IMPERSONATION_SCOPE,
      requested_token_type: ACCESS_TOKEN,
      subject_token: await subjectToken(key),
      subject_token_type: key.subject_token_type ?? '',
    },
    remedy: 'check audience and subject_token_type, and what the workload identity pool maps and allows',
  })
  return impersonation === undefined ? token : impersonate(remote, key, impersonation, token)
}

async function subjectToken({ credential_source: source = {} }: Key): Promise<string> {
  if (source.file === undefined) {
    throw new FetchError(
      'UnsupportedSource',
      `The external_account in ${VARIABLE} takes its token from no file, which alone is supported; make it with --credential-source-file and mount a projected service account token.`,
    )
  }
  const text = await readCredentialFile(source.file, `credential_source.file in ${VARIABLE}`)
  if (source.format?.type !== 'json') return text.trim()
  const field = source.format.subject_token_field_name ?? ''
  const token = tokenIn(text, field)
  if (token !== undefined) return token
  throw new FetchError(
    'InvalidArgument',
    `The file that credential_source in ${VARIABLE} names has no text in "${field}"; check subject_token_field_name.`,
  )
}

function tokenIn(text: string, field: string): string | undefined {
  try {
    const token = (JSON.parse(text) as Readonly<Record<string, unknown>>)[field]
    return typeof token === 'string' ? token : undefined
  } catch {
    return undefined
  }
}

/** https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken */
async function impersonate(remote: Remote, key: Key, address: string, token: string): Promise<string> {
  const url = webUrl(address, `service_account_impersonation_url in ${VARIABLE}`)
  const lifetime = key.service_account_impersonation?.token_lifetime_seconds ?? LIFETIME_SECONDS
  const answer = await readJson(remote, {
    url,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ scope: [SCOPE], lifetime: `${lifetime}s` }),
    authorize: () => ({ authorization: `Bearer ${token}` }),
    explain: ({ status }) =>
      new FetchError(
        'Forbidden',
        `The identity in ${VARIABLE} may not stand for its service account (status ${status}); grant it roles/iam.workloadIdentityUser on the account.`,
      ),
  })
  const found = (answer as { accessToken?: unknown }).accessToken
  if (typeof found === 'string') return found
  throw new FetchError(
    'Forbidden',
    `${url.host} answered without an access token; check service_account_impersonation_url in ${VARIABLE}.`,
  )
}
