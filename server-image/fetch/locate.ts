/** Which schemes a URI may have, and who knows where its bytes are. */
import { FetchError } from './fetch-error.ts'
import type { Locate, Location } from './location.ts'
import type { Remote } from './persist.ts'
import { locateAzure, locateAzureUrl } from './sources/azure.ts'
import { locateDvc } from './sources/dvc.ts'
import { locateFile, locatePlainPath } from './sources/file.ts'
import { locateGs } from './sources/gs.ts'
import { locateHf } from './sources/hf.ts'
import { locateHttp } from './sources/http.ts'
import { locateMlflow } from './sources/mlflow.ts'
import { locateOci } from './sources/oci.ts'
import { locatePvc } from './sources/pvc.ts'
import { locateS3 } from './sources/s3.ts'

/** Long enough for any signed URL, short enough for the result to fit a termination message. */
const MAX_URI_BYTES = 2_048

const BY_SCHEME: Readonly<Record<string, Locate>> = {
  file: locateFile,
  http: locateHttp,
  https: (uri, context) => locateAzureUrl(uri, context) ?? locateHttp(uri),
  s3: locateS3,
  gs: locateGs,
  az: locateAzure,
  azure: locateAzure,
  hf: locateHf,
  models: locateMlflow,
  'dvc+file': locateDvc,
  'dvc+http': locateDvc,
  'dvc+https': locateDvc,
  'dvc+s3': locateDvc,
  'dvc+gs': locateDvc,
  'dvc+azure': locateDvc,
  oci: locateOci,
  'oci+http': locateOci,
  pvc: locatePvc,
}

export const SCHEMES: readonly string[] = Object.keys(BY_SCHEME).map((scheme) => `${scheme}:`)

/** @throws FetchError */
export async function locate(uri: string, remote: Remote): Promise<Location> {
  if (uri === '') throw new FetchError('InvalidArgument', 'The URI is empty; give the address of the .onnx file.')
  if (Buffer.byteLength(uri) > MAX_URI_BYTES) {
    throw new FetchError('InvalidArgument', `The URI is longer than ${MAX_URI_BYTES} bytes; use a shorter one.`)
  }
  if (uri.includes('\0')) throw new FetchError('InvalidArgument', 'The URI holds a NUL character; check it.')
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(uri)?.[1]?.toLowerCase()
  if (scheme === undefined) return locatePlainPath(uri)
  const found = Object.hasOwn(BY_SCHEME, scheme) ? BY_SCHEME[scheme] : undefined
  if (found !== undefined) return found(uri, { ...remote, locate: (inner) => locate(inner, remote) })
  throw new FetchError(
    'UnsupportedSource',
    `Scheme "${scheme}:" is not supported by this server image; a plain path and ${SCHEMES.join(', ')} are.`,
  )
}
