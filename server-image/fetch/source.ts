/** Which schemes a URI may have, and how a URI is shown. */
import { fileURLToPath } from 'node:url'
import { FetchError } from './fetch-error.ts'

export type Source = { readonly kind: 'file'; readonly path: string } | { readonly kind: 'http'; readonly url: URL }

/** Long enough for any signed URL, short enough for the result to fit a termination message. */
const MAX_URI_BYTES = 2_048
const SUPPORTED = 'file:, http: and https: (or a plain path)'

/** @throws FetchError InvalidArgument or UnsupportedSource */
export function parseSource(uri: string): Source {
  if (uri === '') throw new FetchError('InvalidArgument', 'The URI is empty; give the address of the .onnx file.')
  if (Buffer.byteLength(uri) > MAX_URI_BYTES) {
    throw new FetchError('InvalidArgument', `The URI is longer than ${MAX_URI_BYTES} bytes; use a shorter one.`)
  }
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(uri)?.[1]?.toLowerCase()
  switch (scheme) {
    case undefined:
      return { kind: 'file', path: plainPath(uri) }
    case 'file':
      return { kind: 'file', path: plainPath(filePath(uri)) }
    case 'http':
    case 'https':
      return { kind: 'http', url: parseUrl(uri) }
    default:
      throw new FetchError(
        'UnsupportedSource',
        `Scheme "${scheme}:" is not supported by this server image; ${SUPPORTED} are.`,
      )
  }
}

/** The URI as it may be shown: without user, password, the query's values and the fragment, any of which may be a secret. */
export function redactUri(uri: string): string {
  const withoutUser = uri.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i, '$1***@')
  const [beforeFragment = ''] = withoutUser.split('#', 1)
  const queryAt = beforeFragment.indexOf('?')
  return queryAt === -1 ? beforeFragment : `${beforeFragment.slice(0, queryAt)}?***`
}

function plainPath(path: string): string {
  if (path.includes('\0')) throw new FetchError('InvalidArgument', 'The path holds a NUL character; check the URI.')
  return path
}

function filePath(uri: string): string {
  try {
    return fileURLToPath(uri)
  } catch {
    throw new FetchError(
      'InvalidArgument',
      `"${redactUri(uri)}" names no local file; a file URI has three slashes and an absolute path: file:///models/model.onnx.`,
    )
  }
}

function parseUrl(uri: string): URL {
  try {
    return new URL(uri)
  } catch {
    throw new FetchError('InvalidArgument', `"${redactUri(uri)}" is not a valid URL; check its spelling.`)
  }
}
