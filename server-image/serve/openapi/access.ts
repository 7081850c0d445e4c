/** What the document says of a server that wants to know who asks. */
import { OPEN_PATHS } from '../access/guard.ts'
import type { DescribedServer } from './described.ts'
import { errorResponses } from './errors.ts'
import type { Operation, Paths } from './operation.ts'
import type { Schema } from './value-schema.ts'

/** For `components.securitySchemes`: all of them together are wanted; none, and everybody may ask. */
export function securitySchemes({ tokenFile, tls }: Pick<DescribedServer, 'tokenFile' | 'tls'>): Schema {
  return {
    ...(tokenFile !== undefined && {
      bearer: { type: 'http', scheme: 'bearer', description: 'A token that the operators of this server gave you.' },
    }),
    ...(tls?.clientCaFile !== undefined && {
      certificate: { type: 'mutualTLS', description: 'A client certificate of an authority that this server knows.' },
    }),
  }
}

/** Every operation but those that the platform asks wants them, and says so. */
export function guardedPaths(paths: Paths, schemes: Schema): Paths {
  const wanted = Object.fromEntries(Object.keys(schemes).map((name) => [name, []]))
  return Object.fromEntries(
    Object.entries(paths).map(([path, item]) => [
      path,
      'get' in item ? { get: guarded(path, item.get, wanted) } : { post: guarded(path, item.post, wanted) },
    ]),
  )
}

function guarded(path: string, operation: Operation, wanted: Schema): Operation {
  if (OPEN_PATHS.has(path)) return { ...operation, security: [] }
  const family = /^\/v[12](?:\/|$)/.test(path) ? 'V2Error' : 'Error'
  const refusal = errorResponses(family, new Set(['unauthorized']))
  return { ...operation, security: [wanted], responses: { ...operation.responses, ...refusal } }
}
