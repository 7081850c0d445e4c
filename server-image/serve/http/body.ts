import type { IncomingMessage } from 'node:http'

export type Body =
  | { readonly kind: 'whole'; readonly bytes: Buffer }
  /** There is more than allowed; what follows was not read. */
  | { readonly kind: 'too-large' }
  /** The client left, or was too slow and was dropped: nobody waits for an answer. */
  | { readonly kind: 'gone' }

const EMPTY = Buffer.alloc(0)

/** Reads a request's body into memory; calls back once. */
export function readBody(request: IncomingMessage, maxBytes: number, done: (body: Body) => void): void {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) return done({ kind: 'too-large' })
  let first: Buffer = EMPTY
  let rest: Buffer[] | undefined
  let size = 0

  const finish = (body: Body) => {
    request.off('data', onData).off('end', onEnd).off('close', onClose)
    done(body)
  }
  const onData = (chunk: Buffer) => {
    size += chunk.length
    if (size > maxBytes) {
      request.pause()
      finish({ kind: 'too-large' })
    } else if (size === chunk.length) {
      first = chunk
    } else {
      rest ??= [first]
      rest.push(chunk)
    }
  }
  const onEnd = () => finish({ kind: 'whole', bytes: rest === undefined ? first : Buffer.concat(rest, size) })
  const onClose = () => finish({ kind: 'gone' })
  request.on('data', onData).on('end', onEnd).on('close', onClose)
}
