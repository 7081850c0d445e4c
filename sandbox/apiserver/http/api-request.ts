import type { IncomingHttpHeaders } from 'node:http'
import type { JsonObject } from '../json.ts'
import type { ResourceType } from '../kinds/resource-type.ts'

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection'

/** A request for a resource, after authentication and routing. */
export interface ApiRequest {
  readonly verb: Verb
  readonly type: ResourceType
  readonly subresource: string
  readonly namespace: string
  readonly name: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly user: string
  readonly body: Buffer
  readonly mediaType: string
  /** Ends when the client goes away. */
  readonly signal: AbortSignal
  /** Adds a Warning header to the answer. */
  readonly warn: (warning: string) => void
}

/** What a handler wants to be answered. */
export type Reply =
  | { readonly kind: 'object'; readonly code: number; readonly object: JsonObject }
  | { readonly kind: 'list'; readonly list: JsonObject; readonly items: readonly JsonObject[] }
  | { readonly kind: 'stream'; readonly contentType: string; readonly chunks: AsyncIterable<Uint8Array | string> }

export function answer(object: JsonObject, code = 200): Reply {
  return { kind: 'object', code, object }
}
