/** Who may ask what: everything but the questions of the platform needs a token, once there are any. */
import type { IncomingMessage } from 'node:http'
import { EVIDENCE_PATH } from '../../../protocol/evidence.ts'
import { ApiError } from '../api-error.ts'
import { canonicalTarget } from '../http/target.ts'
import type { Tokens } from './tokens.ts'

/**
 * What the kubelet, Prometheus and the operator ask, none of which has a token: counts, and why requests failed. Who should not read
 * these either is kept away by a NetworkPolicy.
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
export type Guard = (request: Pick<IncomingMessage, 'url' | 'headers'>) => ApiError | undefined

export function tokenGuard(tokens: Tokens): Guard {
  return ({ url = '/', headers: { authorization } }) => {
    if (tokens.accept(authorization)) return undefined
    const [path = ''] = canonicalTarget(url).split('?', 1)
    if (OPEN_PATHS.has(path)) return undefined
    return new ApiError(
      'unauthorized',
      authorization === undefined
        ? 'This server wants the header "authorization: Bearer <token>" with a token that its operators gave you.'
        : 'The bearer token of this request is not accepted; ask for a new one.',
      { challenge: authorization === undefined ? 'Bearer' : 'Bearer error="invalid_token"' },
    )
  }
}
