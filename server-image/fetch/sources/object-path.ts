/** Paths of objects inside buckets, repositories and volumes. */
import { FetchError } from '../fetch-error.ts'

/**
 * The segments of a path without what would be taken for steps up or out. Object stores allow them in keys, but no URL can carry them.
 * @throws FetchError InvalidArgument
 */
export function plainSegments(path: string, uri: string): string[] {
  const segments = path.split('/')
  if (segments.some((segment) => segment === '.' || segment === '..')) {
    throw new FetchError('InvalidArgument', `"${uri}" has "." or ".." in its path; write the path without them.`)
  }
  return segments
}

/** As part of a URL's path; slashes stay. */
export function encodedPath(path: string, uri: string): string {
  return plainSegments(path, uri).map(encodeURIComponent).join('/')
}

/** The path that `relative` has, as seen from the folder of `path`. */
export function pathBeside(path: string, relative: string): string {
  return `${path.slice(0, path.lastIndexOf('/') + 1)}${relative}`
}

/** The same of a URL; its query, which may hold credentials, stays. */
export function urlBeside(url: URL, relative: string): URL {
  const next = new URL(url)
  next.pathname = pathBeside(url.pathname, relative.split('/').map(encodeURIComponent).join('/'))
  return next
}

/**
 * The model among files: the one asked for, or the only one that ends in `.onnx`.
 * @param where What holds the files, as messages name it.
 * @throws FetchError that lists what there is
 */
export function pickOnnx(paths: readonly string[], wanted: string | undefined, where: string): string {
  const models = paths.filter((path) => /\.onnx$/i.test(path))
  const listed = `${models.slice(0, 5).join(', ')}${models.length > 5 ? ' ...' : ''}`
  if (wanted !== undefined) {
    if (paths.includes(wanted)) return wanted
    const hint = models.length === 0 ? 'there is no .onnx file at all' : `its .onnx files are ${listed}`
    throw new FetchError('NotFound', `${where} has no file "${wanted}"; ${hint}. Check the path.`)
  }
  const [only] = models
  if (only === undefined) {
    throw new FetchError('NotFound', `${where} has no .onnx file; export the model to ONNX and publish it there.`)
  }
  if (models.length > 1) {
    throw new FetchError('InvalidArgument', `${where} has ${models.length} .onnx files (${listed}); name one of them.`)
  }
  return only
}

/** How messages say where credentials come from. */
export function fromSecret(what: string): string {
  return `give ${what} in the Secret that credentialsSecretRef names`
}
