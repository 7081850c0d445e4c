/** One GET with its redirects, to allowed addresses only. The answer's body has not been read when it is returned. */
import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { guardedLookup, refuseDeniedHost, type AddressPolicy } from './address-policy.ts'
import { FetchError } from './fetch-error.ts'
import { redactUri } from './source.ts'

const MAX_REDIRECTS = 5
const CONNECT_TIMEOUT_MS = 5_000
/** A family that does not answer is given up after this long for the other one; Node's 250 ms are too short for far regions. */
const FAMILY_TIMEOUT_MS = 2_000

/** A failure that may pass: worth another try while there is patience. */
export class PassingFailure extends Error {
  readonly retryAfterMs: number | undefined

  constructor(message: string, options?: ErrorOptions & { readonly retryAfterMs?: number | undefined }) {
    super(message, options)
    this.name = 'PassingFailure'
    this.retryAfterMs = options?.retryAfterMs
  }
}

export interface Get {
  readonly url: URL
  readonly headers: OutgoingHttpHeaders
  readonly policy: AddressPolicy
  readonly signal: AbortSignal
}

/** @throws PassingFailure when there was no answer, FetchError when there will be none */
export async function get({ url, headers, policy, signal }: Get): Promise<IncomingMessage> {
  let target = url
  for (let redirects = 0; ; redirects += 1) {
    refuseDeniedHost(policy, target)
    // User and password go to the origin that they were given for, and to no other.
    const authorization = target.origin === url.origin ? basicAuthorization(url) : {}
    const response = await send(target, { headers: { ...headers, ...authorization }, policy, signal })
    const location = isRedirect(response.statusCode) ? response.headers.location : undefined
    if (location === undefined) return response
    response.destroy()
    if (redirects === MAX_REDIRECTS) {
      throw new FetchError(
        'InvalidArgument',
        `${redactUri(url.href)} redirects more than ${MAX_REDIRECTS} times; use the final URL.`,
      )
    }
    target = redirectTarget(target, location)
  }
}

function send(target: URL, { headers, policy, signal }: Omit<Get, 'url'>): Promise<IncomingMessage> {
  const bare = new URL(target)
  bare.username = ''
  bare.password = ''
  const open = bare.protocol === 'https:' ? httpsRequest : httpRequest
  return new Promise((resolve, reject) => {
    const options: RequestOptions & { autoSelectFamilyAttemptTimeout: number } = {
      headers,
      signal,
      agent: false,
      lookup: guardedLookup(policy),
      autoSelectFamilyAttemptTimeout: FAMILY_TIMEOUT_MS,
    }
    const request = open(bare, options)
    const timer = setTimeout(
      () => request.destroy(new PassingFailure(`no connection within ${CONNECT_TIMEOUT_MS / 1000} s`)),
      CONNECT_TIMEOUT_MS,
    )
    request.on('socket', (socket) => socket.once('connect', () => clearTimeout(timer)))
    request.on('close', () => clearTimeout(timer))
    request.on('error', (error) => reject(asFetchFailure(error, bare)))
    request.on('response', resolve)
    request.end()
  })
}

function isRedirect(status: number | undefined): boolean {
  return status !== undefined && [301, 302, 303, 307, 308].includes(status)
}

function redirectTarget(from: URL, location: string): URL {
  const target = URL.parse(location, from)
  if (target === null) {
    throw new FetchError(
      'InvalidArgument',
      `${redactUri(from.href)} redirects to an address that is no URL; use the final URL.`,
    )
  }
  if (target.protocol !== from.protocol) {
    throw new FetchError(
      'Forbidden',
      `${redactUri(from.href)} redirects to another scheme (${redactUri(target.href)}), which is not followed; use the final URL.`,
    )
  }
  return target
}

function basicAuthorization({ username, password }: URL): OutgoingHttpHeaders {
  if (username === '' && password === '') return {}
  const credentials = `${decodeUserinfo(username)}:${decodeUserinfo(password)}`
  return { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` }
}

function decodeUserinfo(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Errors of certificates do not pass by themselves; all others of the network may. */
export function asFetchFailure(error: unknown, url: URL): FetchError | PassingFailure {
  if (error instanceof FetchError || error instanceof PassingFailure) return error
  const { code = '', message } = error as NodeJS.ErrnoException
  if (/CERT|SIGNATURE|SELF_SIGNED|UNABLE_TO_GET_ISSUER/.test(code)) {
    return new FetchError(
      'Forbidden',
      `The certificate of ${url.host} is not trusted (${code}); mount its CA and name it in NODE_EXTRA_CA_CERTS, or use the host name that it is for.`,
      { cause: error },
    )
  }
  // Node's own texts name hosts and ports only.
  return new PassingFailure(code === '' ? message : `${code}${message.includes(code) ? '' : ` ${message}`}`, {
    cause: error,
  })
}
