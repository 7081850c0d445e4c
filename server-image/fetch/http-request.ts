/** One request with its redirects, to allowed addresses only. The answer's body has not been read when it is returned. */
import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { guardedLookup, refuseDeniedHost, refuseDeniedName, type AddressPolicy } from './address-policy.ts'
import type { Authorize } from './authorize.ts'
import { FetchError } from './fetch-error.ts'
import { percentDecoded } from './percent.ts'
import { agentFor, isProxysOwn, proxyRefusal, type Proxy, type ProxyFor } from './proxy.ts'
import { redactUri } from './redact.ts'

const MAX_REDIRECTS = 5
const CONNECT_TIMEOUT_MS = 5_000
/** Two connections, a name's resolution and a TLS handshake. */
const TUNNEL_TIMEOUT_MS = 8_000
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

export interface Request {
  readonly url: URL
  readonly method?: 'GET' | 'POST'
  readonly headers: OutgoingHttpHeaders
  readonly body?: string
  readonly authorize?: Authorize | undefined
  readonly policy: AddressPolicy
  readonly proxyFor: ProxyFor
  readonly signal: AbortSignal
}

/** Redirects of a GET are followed. @throws PassingFailure when there was no answer, FetchError when there will be none */
export async function request(asked: Request): Promise<IncomingMessage> {
  const { url, method = 'GET' } = asked
  let target = url
  for (let redirects = 0; ; redirects += 1) {
    refuseDeniedHost(asked.policy, target)
    const proxy = asked.proxyFor(target)
    if (proxy !== undefined) await refuseDeniedName(asked.policy, target)
    const response = await send(target, { ...asked, headers: await headersFor(target, asked) }, proxy)
    const location = method === 'GET' && isRedirect(response.statusCode) ? response.headers.location : undefined
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

/** Law: credentials go to the party that they were given for, and to no other, whatever redirects say. */
async function headersFor(
  target: URL,
  { url, method = 'GET', headers, authorize }: Request,
): Promise<OutgoingHttpHeaders> {
  if (!isSameParty(url, target)) return headers
  const withUser = { ...headers, ...basicAuthorization(url) }
  return { ...withUser, ...(await authorize?.({ method, url: target, headers: withUser })) }
}

/** The same origin, or the same host's usual TLS port after its usual plain one. */
function isSameParty(asked: URL, target: URL): boolean {
  if (target.origin === asked.origin) return true
  return isUpgrade(asked, target) && asked.port === '' && target.port === ''
}

function isUpgrade(from: URL, to: URL): boolean {
  return from.protocol === 'http:' && to.protocol === 'https:' && from.hostname === to.hostname
}

function send(
  target: URL,
  { method = 'GET', headers, body, policy, signal }: Request,
  proxy: Proxy | undefined,
): Promise<IncomingMessage> {
  const bare = new URL(target)
  bare.username = ''
  bare.password = ''
  const open = bare.protocol === 'https:' ? httpsRequest : httpRequest
  const timeoutMs = proxy === undefined ? CONNECT_TIMEOUT_MS : TUNNEL_TIMEOUT_MS
  return new Promise((resolve, reject) => {
    const options: RequestOptions & { autoSelectFamilyAttemptTimeout: number } = {
      method,
      headers,
      signal,
      agent: agentFor(bare, proxy),
      lookup: guardedLookup(policy),
      autoSelectFamilyAttemptTimeout: FAMILY_TIMEOUT_MS,
      // Only this ends a tunnel that is not answered: until it stands, the request has no socket that it could close.
      ...(proxy !== undefined && { timeout: timeoutMs }),
    }
    const outgoing = open(bare, options)
    const timer = setTimeout(() => {
      const through = proxy === undefined ? '' : ` through the proxy ${proxy.name}`
      outgoing.destroy(new PassingFailure(`no connection${through} within ${timeoutMs / 1000} s`))
    }, timeoutMs)
    outgoing.on('socket', (socket) => {
      // A tunnel is handed over when it stands.
      if (socket.connecting) socket.once('connect', () => clearTimeout(timer))
      else clearTimeout(timer)
    })
    outgoing.on('close', () => clearTimeout(timer))
    outgoing.on('error', (error) => reject(asFetchFailure(error, bare, proxy)))
    outgoing.on('response', (response) => {
      if (proxy === undefined || bare.protocol === 'https:' || !isProxysOwn(response)) return resolve(response)
      response.destroy()
      reject(failureOfProxy(proxy, bare, response.statusCode ?? 0))
    })
    outgoing.end(body)
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
  if (target.protocol !== from.protocol && !isUpgrade(from, target)) {
    throw new FetchError(
      'Forbidden',
      `${redactUri(from.href)} redirects to another scheme (${redactUri(target.href)}), which is followed only from http to https of the same host; use the final URL.`,
    )
  }
  return target
}

function basicAuthorization({ username, password }: URL): OutgoingHttpHeaders {
  if (username === '' && password === '') return {}
  const credentials = `${percentDecoded(username)}:${percentDecoded(password)}`
  return { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` }
}

/** Errors of certificates do not pass by themselves; all others of the network may. */
export function asFetchFailure(error: unknown, url: URL, proxy?: Proxy): FetchError | PassingFailure {
  if (error instanceof FetchError || error instanceof PassingFailure) return error
  const { code = '', message, statusCode } = error as NodeJS.ErrnoException & { statusCode?: number }
  if (/CERT|SIGNATURE|SELF_SIGNED|UNABLE_TO_GET_ISSUER/.test(code)) {
    const through = proxy === undefined ? '' : `, asked through the proxy ${proxy.name},`
    return new FetchError(
      'Forbidden',
      `The certificate of ${url.host}${through} is not trusted (${code}); mount its CA and name it in NODE_EXTRA_CA_CERTS, or use the host name that it is for.`,
      { cause: error },
    )
  }
  if (proxy !== undefined && statusCode !== undefined) return failureOfProxy(proxy, url, statusCode)
  // Node's own texts name hosts and ports only.
  const text = code === '' ? message : `${code}${message.includes(code) ? '' : ` ${message}`}`
  return new PassingFailure(proxy === undefined ? text : `${whereOf(error, proxy)}: ${text}`, { cause: error })
}

function failureOfProxy(proxy: Proxy, { host }: URL, status: number): FetchError | PassingFailure {
  return (
    proxyRefusal(proxy, host, status) ?? new PassingFailure(`the proxy ${proxy.name} answered ${status} for ${host}`)
  )
}

/** With a proxy, no other host is looked up or connected to. */
function whereOf(error: unknown, { name }: Proxy): string {
  const { code, syscall = '' } = error as NodeJS.ErrnoException
  if (code === 'ERR_PROXY_TUNNEL') return `the proxy ${name} makes no connection`
  return /^(connect|getaddrinfo)$/.test(syscall)
    ? `the proxy ${name} cannot be reached`
    : `the connection through the proxy ${name} broke`
}
