/**
 * `gs://bucket/object[#generation]`: Google Cloud Storage over its JSON API, with a service account's key, an access token, or
 * anonymously. The answer names the generation, which stands for exactly these bytes.
 */
import { FetchError } from '../fetch-error.ts'
import type { HttpLocation, LocateContext, Refusal } from '../location.ts'
import { googleToken } from './google-token.ts'
import { webUrl } from './http.ts'
import { fromSecret, pathBeside, plainSegments } from './object-path.ts'

export async function locateGs(uri: string, context: LocateContext): Promise<HttpLocation> {
  const [, bucket, object, generation] = /^gs:\/\/([a-z0-9][\w.-]*)\/(.+?)(?:#(\d+))?$/i.exec(uri) ?? []
  if (bucket === undefined || object === undefined || object.endsWith('/')) {
    throw new FetchError('InvalidArgument', `"${uri}" names no object; write gs://bucket/path/to/model.onnx.`)
  }
  plainSegments(object, uri)
  const access = { storage: storageUrl(context.env['STORAGE_EMULATOR_HOST']), token: await googleToken(context) }
  return located({ bucket, object, generation }, access)
}

interface GsObject {
  readonly bucket: string
  readonly object: string
  readonly generation: string | undefined
}

interface Access {
  readonly storage: URL
  readonly token: string | undefined
}

function located({ bucket, object, generation }: GsObject, access: Access): HttpLocation {
  const { storage, token } = access
  const url = new URL(storage)
  url.pathname = `${url.pathname.replace(/\/$/, '')}/storage/v1/b/${bucket}/o/${encodeURIComponent(object)}`
  url.searchParams.set('alt', 'media')
  if (generation !== undefined) url.searchParams.set('generation', generation)
  const name = `gs://${bucket}/${object}`
  return {
    kind: 'http',
    url,
    authorize: token === undefined ? undefined : () => ({ authorization: `Bearer ${token}` }),
    explain: (refusal) => explainGs(refusal, name, token === undefined),
    // A generation is of one object alone.
    beside: (path) => located({ bucket, object: pathBeside(object, path), generation: undefined }, access),
    pin: ({ 'x-goog-generation': found }) => (typeof found === 'string' ? `${name}#${found}` : undefined),
  }
}

/** The variable that Google's own libraries read; they take it with and without a scheme. */
function storageUrl(emulator: string | undefined): URL {
  if (emulator === undefined || emulator === '') return new URL('https://storage.googleapis.com/')
  return webUrl(/^https?:/.test(emulator) ? emulator : `http://${emulator}`, 'STORAGE_EMULATOR_HOST')
}

function explainGs({ status }: Refusal, where: string, isAnonymous: boolean): FetchError | undefined {
  if (status === 404) {
    return new FetchError(
      'NotFound',
      `${where} does not exist, or not any more in this generation; check bucket and path.`,
    )
  }
  if (status !== 401 && status !== 403) return undefined
  return isAnonymous
    ? new FetchError(
        'Forbidden',
        `${where} may not be read anonymously; ${fromSecret("a service account's key as GOOGLE_APPLICATION_CREDENTIALS")}.`,
      )
    : new FetchError(
        'Forbidden',
        `${where} may not be read with these credentials; grant roles/storage.objectViewer on the bucket.`,
      )
}
