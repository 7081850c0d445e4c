/**
 * `oci://registry/repository:tag[@sha256:DIGEST][?file=NAME]`: an artifact in an OCI registry, laid out as ORAS does (one layer a file,
 * titled) or by the ModelPack specification (raw layers, or archives). A tag is resolved to the digest of its manifest, and the
 * manifest says what digest the layer has. `oci+http://` asks a registry without TLS; one on this machine is asked so anyway.
 */
import { createHash } from 'node:crypto'
import type { Authorize } from '../authorize.ts'
import { asJson, readDocument } from '../document.ts'
import { FetchError } from '../fetch-error.ts'
import type { Archive, Explain, HttpLocation, LocateContext } from '../location.ts'
import { fromSecret, pathBeside, pickOnnx } from './object-path.ts'
import { registryAuthorization, registryCredentials } from './registry-token.ts'

/** What the URI names. */
interface Reference {
  readonly uri: string
  readonly base: URL
  readonly registry: string
  readonly repository: string
  readonly tag: string | undefined
  readonly digest: string | undefined
  readonly file: string | undefined
}

interface Descriptor {
  readonly mediaType?: string
  readonly digest?: string
  readonly artifactType?: string
  readonly annotations?: Readonly<Record<string, string>>
}

interface Manifest {
  readonly layers?: readonly Descriptor[]
  /** Of an index. */
  readonly manifests?: readonly Descriptor[]
}

const MANIFEST_TYPES = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
]
/** Where ORAS and the ModelPack specification write a layer's file name. */
const NAME_ANNOTATIONS = ['org.opencontainers.image.title', 'org.cncf.model.filepath']
const DIGEST = /^sha256:([0-9a-f]{64})$/

export async function locateOci(uri: string, context: LocateContext): Promise<HttpLocation> {
  const reference = parseOci(uri)
  const credentials = registryCredentials(context.env, reference.registry)
  const { repository } = reference
  const explain = explainOci(reference, credentials !== undefined)
  const first = manifestUrl(reference, reference.digest ?? reference.tag ?? 'latest')
  const authorize = await registryAuthorization(context, { url: first, repository, credentials, explain })
  const read = (name: string) => readManifest(context, { reference, name, authorize, explain })
  const { digest, manifest } = await read(reference.digest ?? reference.tag ?? 'latest')
  const inner = manifest.layers === undefined ? (await read(onlyManifest(manifest, reference))).manifest : manifest
  const blob = (layer: Descriptor): HttpLocation => ({
    kind: 'http',
    url: new URL(`/v2/${repository}/blobs/${layer.digest}`, reference.base),
    authorize,
    explain,
    uri: pinnedUri(reference, digest),
    digests: { sha256: sha256Of(layer, reference) },
  })
  const layer = modelLayer(inner, reference)
  const archive = archiveOf(layer, reference.file)
  if (archive !== undefined) return { ...blob(layer), archive }
  return { ...blob(layer), beside: (path) => blob(layerNamed(pathBeside(nameOf(layer) ?? '', path), inner, reference)) }
}

function sha256Of({ digest = '' }: Descriptor, { uri }: Reference): string {
  const sha256 = DIGEST.exec(digest)?.[1]
  if (sha256 !== undefined) return sha256
  throw new FetchError(
    'UnsupportedSource',
    `"${uri}" has a layer whose digest is not sha256; push it again with sha256.`,
  )
}

function layerNamed(name: string, { layers = [] }: Manifest, { uri }: Reference): Descriptor {
  const layer = layers.find((each) => nameOf(each) === name && !isArchive(each))
  if (layer !== undefined) return layer
  throw new FetchError('NotFound', `"${uri}" has no layer with the title "${name}"; push that file with the model.`)
}

function parseOci(uri: string): Reference {
  const shape =
    /^oci(\+http)?:\/\/([\w.-]+(?::\d+)?|\[[\da-f:]+\](?::\d+)?)\/([a-z0-9]+(?:[._/-]+[a-z0-9]+)*)(?::([\w][\w.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?(?:\?file=(.+))?$/i
  const [, plain, registry, repository, tag, digest, file] = shape.exec(uri) ?? []
  if (registry === undefined || repository === undefined) {
    throw new FetchError(
      'InvalidArgument',
      `"${uri}" names no artifact; write oci://registry/repository:tag or oci://registry/repository@sha256:DIGEST.`,
    )
  }
  const isHere = /^(localhost|127\.[\d.]+|\[::1\])(:\d+)?$/.test(registry)
  // Docker Hub's API is on another host than its name.
  const host = registry === 'docker.io' ? 'registry-1.docker.io' : registry
  const base = new URL(`${plain === undefined && !isHere ? 'https' : 'http'}://${host}/`)
  return { uri, base, registry, repository, tag, digest, file }
}

function pinnedUri({ uri, registry, repository, tag, file }: Reference, digest: string): string {
  const scheme = uri.slice(0, uri.indexOf('://'))
  const name = `${scheme}://${registry}/${repository}${tag === undefined ? '' : `:${tag}`}@${digest}`
  return file === undefined ? name : `${name}?file=${file}`
}

function manifestUrl({ base, repository }: Reference, name: string): URL {
  return new URL(`/v2/${repository}/manifests/${name}`, base)
}

interface ManifestRequest {
  readonly reference: Reference
  /** A tag or a digest. */
  readonly name: string
  readonly authorize: Authorize | undefined
  readonly explain: Explain
}

/** The digest is computed, not believed. */
async function readManifest(
  context: LocateContext,
  { reference, name, authorize, explain }: ManifestRequest,
): Promise<{ digest: string; manifest: Manifest }> {
  const url = manifestUrl(reference, name)
  const headers = { accept: MANIFEST_TYPES.join(', ') }
  const { bytes } = await readDocument(context, { url, headers, authorize, explain })
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  if (DIGEST.test(name) && name !== digest) {
    throw new FetchError(
      'DigestMismatch',
      `The manifest of "${reference.uri}" has ${digest}; the registry is damaged. Push the artifact again.`,
    )
  }
  return { digest, manifest: asJson(bytes, url) as Manifest }
}

function onlyManifest({ manifests = [] }: Manifest, { uri }: Reference): string {
  const [only] = manifests
  if (manifests.length === 1 && only?.digest !== undefined) return only.digest
  throw new FetchError(
    'InvalidArgument',
    `"${uri}" is an index of ${manifests.length} manifests; name one of them by its digest.`,
  )
}

function modelLayer({ layers = [] }: Manifest, { uri, file }: Reference): Descriptor {
  const [only] = layers
  if (only !== undefined && layers.length === 1 && (nameOf(only) === undefined || isArchive(only))) return only
  const named = new Map(layers.map((layer) => [nameOf(layer), layer]))
  const names = [...named.keys()].filter((name) => name !== undefined)
  const archives = layers.filter(isArchive)
  const [archive] = archives
  // Weights may be packed into one archive beside layers of documentation and configuration.
  const isInArchive = file === undefined ? !names.some((name) => /\.onnx$/i.test(name)) : !names.includes(file)
  const weights = archives.filter(({ mediaType = '' }) => mediaType.includes('.weight.'))
  if (isInArchive && weights.length === 1 && weights[0] !== undefined) return weights[0]
  if (isInArchive && archives.length === 1 && archive !== undefined) return archive
  return named.get(pickOnnx(names, file, `"${uri}"`)) ?? {}
}

function nameOf({ annotations = {} }: Descriptor): string | undefined {
  return NAME_ANNOTATIONS.map((key) => annotations[key]).find((name) => name !== undefined)
}

function isArchive(layer: Descriptor): boolean {
  const { mediaType = '', annotations = {} } = layer
  if (annotations['io.deis.oras.content.unpack'] === 'true') return true
  // ORAS calls a file that, whatever it is, unless told its type.
  const name = mediaType === 'application/vnd.oci.image.layer.v1.tar' ? nameOf(layer) : undefined
  return name === undefined ? /[.+]tar(\+gzip|\+zstd|\.gzip)?$/.test(mediaType) : /\.tar$/i.test(name)
}

function archiveOf(layer: Descriptor, member: string | undefined): Archive | undefined {
  if (!isArchive(layer)) return undefined
  const { mediaType = '' } = layer
  const compression =
    /gzip$/.test(mediaType) || !/tar/.test(mediaType) ? 'gzip' : /zstd$/.test(mediaType) ? 'zstd' : 'none'
  return { compression, member }
}

function explainOci({ uri, registry }: Reference, hasCredentials: boolean): Explain {
  return ({ status }) => {
    if (status === 404) return new FetchError('NotFound', `"${uri}" does not exist; check repository, tag and digest.`)
    if (status !== 401 && status !== 403) return undefined
    return new FetchError(
      'Forbidden',
      hasCredentials
        ? `"${uri}" may not be pulled with these credentials; grant pull on the repository, or check that they are for ${registry}.`
        : `"${uri}" may not be pulled anonymously, or does not exist; ${fromSecret(`an entry for ${registry} in .dockerconfigjson`)}.`,
    )
  }
}
