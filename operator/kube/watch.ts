import type { Readable } from 'node:stream'
import { ApiError, statusOf, TransportError } from './errors.ts'
import { linesOf } from './lines.ts'
import type { KubeObject } from './resource.ts'

/** A change, or a bookmark: nothing changed up to this resourceVersion. */
export type WatchEvent<T> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string; readonly isInitialEnd: boolean }

/** Larger than any object that etcd keeps (1.5 MiB), as JSON. */
const MAX_EVENT_BYTES = 16 * 1024 * 1024
const INITIAL_END = 'k8s.io/initial-events-end'

/**
 * The events of a watch's answer. Ends when the server ends it in good order.
 *
 * @throws ApiError for an ERROR event, TransportError when the connection breaks or what comes is not a watch.
 */
export async function* watchEvents<T extends KubeObject>(answer: Readable): AsyncGenerator<WatchEvent<T>> {
  for await (const line of linesOf(answer, MAX_EVENT_BYTES)) {
    yield eventOf<T>(line)
  }
}

function eventOf<T extends KubeObject>(line: string): WatchEvent<T> {
  const { type, object } = parsed(line)
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type, object: checked(object, line) as T }
    case 'BOOKMARK': {
      const { metadata } = checked(object, line)
      const isInitialEnd = metadata?.annotations?.[INITIAL_END] === 'true'
      return { type, resourceVersion: metadata?.resourceVersion ?? '', isInitialEnd }
    }
    case 'ERROR':
      throw new ApiError(statusOf(500, object))
    default:
      throw malformed(line)
  }
}

function parsed(line: string): { type?: unknown; object?: unknown } {
  try {
    return (JSON.parse(line) ?? {}) as { type?: unknown; object?: unknown }
  } catch (error) {
    throw malformed(line, error)
  }
}

/** An event without a resourceVersion could neither be stored nor resumed from. */
function checked(object: unknown, line: string): KubeObject {
  const candidate = object as KubeObject | null | undefined
  if (typeof candidate?.metadata?.resourceVersion !== 'string') throw malformed(line)
  return candidate
}

function malformed(line: string, cause?: unknown): TransportError {
  return new TransportError('malformed', `this is not an event of a watch: ${line.slice(0, 100)}`, cause)
}
