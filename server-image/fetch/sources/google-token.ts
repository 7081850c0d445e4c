/**
 * Access tokens of Google Cloud: given as they are, or got for the key in `GOOGLE_APPLICATION_CREDENTIALS` (a path, or the JSON
 * itself, as a Secret's key holds it). A service account's key signs a JWT (RFC 7523); a user's brings a refresh token (RFC 6749, 6).
 */
import { createSign } from 'node:crypto'
import { readJson } from '../document.ts'
import { FetchError } from '../fetch-error.ts'
import type { Remote } from '../persist.ts'
import { readCredentialFile } from './aws-credentials.ts'
import { webUrl } from './http.ts'

const VARIABLE = 'GOOGLE_APPLICATION_CREDENTIALS'
const SCOPE = 'https://www.googleapis.com/auth/devstorage.read_only'
const DEFAULT_TOKEN_URL = 'https://oauth2.googleapis.com/token'
const LIFETIME_SECONDS = 3600

/** Undefined: ask anonymously. @throws FetchError */
export async function googleToken(remote: Remote): Promise<string | undefined> {
  const { env } = remote
  const given = [env['GOOGLE_OAUTH_ACCESS_TOKEN'], env['CLOUDSDK_AUTH_ACCESS_TOKEN']].find(
    (each) => (each ?? '') !== '',
  )
  if (given !== undefined) return given.trim()
  const text = env[VARIABLE] ?? ''
  if (text === '') return undefined
  const key = parseKey(text.trimStart().startsWith('{') ? text : await readCredentialFile(text, VARIABLE))
  const url = webUrl(key['token_uri'] ?? DEFAULT_TOKEN_URL, `token_uri in ${VARIABLE}`)
  const answer = await readJson(remote, {
    url,
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(grantOf(key, url)).toString(),
    explain: ({ status }) =>
      new FetchError(
        'Forbidden',
        `Google accepts the key in ${VARIABLE} for no token (status ${status}); check that it is neither deleted nor disabled, and the clock.`,
      ),
  })
  const token = (answer as { access_token?: unknown }).access_token
  if (typeof token === 'string') return token
  throw new FetchError('Forbidden', `${url.host} answered without an access token; check token_uri in ${VARIABLE}.`)
}

type Key = Readonly<Record<string, string | undefined>>

function parseKey(text: string): Key {
  try {
    return JSON.parse(text) as Key
  } catch {
    throw new FetchError('InvalidArgument', `${VARIABLE} holds no JSON; give the key file as it was downloaded.`)
  }
}

function grantOf(key: Key, url: URL): Record<string, string> {
  const { type, client_id = '', client_secret = '', refresh_token = '' } = key
  if (type === 'authorized_user') return { grant_type: 'refresh_token', client_id, client_secret, refresh_token }
  if (type === 'service_account') {
    return { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion: assertionOf(key, url) }
  }
  throw new FetchError(
    'UnsupportedSource',
    `${VARIABLE} is of type "${String(type).slice(0, 40)}"; use a service_account key, or GOOGLE_OAUTH_ACCESS_TOKEN.`,
  )
}

function assertionOf(key: Key, url: URL): string {
  const now = Math.floor(Date.now() / 1000)
  const header = { alg: 'RS256', typ: 'JWT', kid: key['private_key_id'] }
  const claims = { iss: key['client_email'], scope: SCOPE, aud: url.href, iat: now, exp: now + LIFETIME_SECONDS }
  const signed = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  try {
    return `${signed}.${createSign('RSA-SHA256')
      .update(signed)
      .sign(key['private_key'] ?? '', 'base64url')}`
  } catch {
    throw new FetchError(
      'InvalidArgument',
      `The private_key in ${VARIABLE} is not a PEM key; give the key file as it was downloaded.`,
    )
  }
}
