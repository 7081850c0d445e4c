/** What the document says of a server that wants bearer tokens. */
import { OPEN_PATHS } from '../access/guard.ts'
import { errorResponses } from './errors.ts'
import type { Operation, Paths } from './operation.ts'
import type { Schema } from './value-schema.ts'

/** For `components.securitySchemes`. */
export const SECURITY_SCHEMES: Schema = {
  bearer: { type: 'http', scheme: 'bearer', description: 'A token that the operators of this server gave you.' },
}

/** Every operation but those that the platform asks wants a token, and says so. */
export function guardedPaths(paths: Paths): Paths {
  return Object.fromEntries(
    Object.entries(paths).map(([path, item]) => [
      path,
      'get' in item ? { get: guarded(path, item.get) } : { post: guarded(path, item.post) },
    ]),
  )
}

function guarded(path: string, operation: Operation): Operation {
  if (OPEN_PATHS.has(path)) return { ...operation, security: [] }
  const family = /^\/v[12](?:\/|$)/.test(path) ? 'V2Error' : 'Error'
  const refusal = errorResponses(family, new Set(['unauthorized']))
  return { ...operation, security: [{ bearer: [] }], responses: { ...operation.responses, ...refusal } }
}
