/** Who may ask what: everything but the questions of the platform needs a token, or a client certificate, once these are asked for. */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { EVIDENCE_PATH } from '../../../protocol/evidence.ts'
import { ApiError } from '../api-error.ts'
import { canonicalTarget } from '../http/target.ts'
import type { Doubt } from '../tls/proof.ts'
import type { Tokens } from './tokens.ts'

/**
 * What the kubelet, Prometheus and the operator ask, none of which has a token or a certificate: counts, and why requests failed. Who
 * should not read these either is kept away by a NetworkPolicy.
 */
export const OPEN_PATHS: ReadonlySet<string> = new Set([
  '/livez',
  '/readyz',
  '/health',
  '/v2/health/live',
  '/v2/health/ready',
  '/metrics',
  EVIDENCE_PATH,
])

/** Says why a request is refused before anything of it is looked at; undefined when it is welcome. */
export type Guard = (request: Pick<IncomingMessage, 'url' | 'headers' | 'socket'>) => ApiError | undefined

/** One that needs to see the request alone, and not whose connection it came over. */
export type RequestGuard = (request: Pick<IncomingMessage, 'url' | 'headers'>) => ApiError | undefined

export function tokenGuard(tokens: Tokens): RequestGuard {
  return ({ url, headers }) => {
    const { authorization, accept = '' } = headers
    if (tokens.accept(authorization) || isOpen(url)) return undefined
    if (isOfOurPages(headers) && tokens.acceptPassword(authorization)) return undefined
    const bearer = authorization === undefined ? 'Bearer' : 'Bearer error="invalid_token"'
    return new ApiError(
      'unauthorized',
      authorization === undefined
        ? 'This server wants the header "authorization: Bearer <token>" with a token that its operators gave you.'
        : 'The bearer token of this request is not accepted; ask for a new one.',
      // Who reads pages is asked by the browser, in a form of its own; Chromium has none where it is offered anything else as well.
      { challenge: accept.includes('text/html') ? BROWSER_CHALLENGE : bearer },
    )
  }
}

const BROWSER_CHALLENGE =
  'Basic realm="the password is a token of this server, the name is not looked at", charset="UTF-8"'

/** A browser sends passwords with what any site makes it ask, but says which site that was wherever it matters. */
function isOfOurPages({ origin, host }: IncomingMessage['headers']): boolean {
  return origin === undefined || origin === `http://${host}` || origin === `https://${host}`
}

/** @param doubtAbout the client of a connection; asked once for each of them */
export function certificateGuard(doubtAbout: (socket: Socket) => Doubt): Guard {
  const doubts = new WeakMap<Socket, Doubt>()
  return ({ url, socket }) => {
    let doubt = doubts.get(socket)
    if (doubt === undefined) {
      doubt = doubtAbout(socket)
      doubts.set(socket, doubt)
    }
    const why = doubt()
    return why === undefined || isOpen(url) ? undefined : new ApiError('unauthorized', why)
  }
}

/** Every one of them must let a request in. @returns undefined when there are none */
export function allOf(guards: readonly (Guard | undefined)[]): Guard | undefined {
  const [first, ...others] = guards.filter((guard) => guard !== undefined)
  if (first === undefined) return undefined
  return (request) => {
    for (const guard of [first, ...others]) {
      const refusal = guard(request)
      if (refusal !== undefined) return refusal
    }
    return undefined
  }
}

function isOpen(url = '/'): boolean {
  const [path = ''] = canonicalTarget(url).split('?', 1)
  return OPEN_PATHS.has(path)
}
