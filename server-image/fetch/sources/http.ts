/** `http://` and `https://`: any web server. User and password in the URL, or a signature in its query, are its credentials. */
import { FetchError } from '../fetch-error.ts'
import type { HttpLocation } from '../location.ts'
import { redactUri } from '../redact.ts'
import { urlBeside } from './object-path.ts'

export function locateHttp(uri: string): HttpLocation {
  return located(webUrl(uri))
}

function located(url: URL): HttpLocation {
  return { kind: 'http', url, beside: (path) => located(urlBeside(url, path)) }
}

/** @throws FetchError InvalidArgument, naming the variable if the URL came from one */
export function webUrl(text: string, variable?: string): URL {
  const url = URL.parse(text)
  if (url !== null && /^https?:$/.test(url.protocol)) return url
  const what = variable === undefined ? `"${redactUri(text)}"` : `${variable}`
  throw new FetchError(
    'InvalidArgument',
    `${what} is not a valid URL; check its spelling${variable === undefined ? '' : ': it begins with http:// or https://'}.`,
  )
}
