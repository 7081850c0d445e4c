/** What a source's own module finds out about a URI: where the bytes are, who may ask for them, and what they must be. */
import type { IncomingHttpHeaders } from 'node:http'
import type { Authorize } from './authorize.ts'
import type { FetchError } from './fetch-error.ts'
import type { PassingFailure } from './http-request.ts'
import type { Remote } from './persist.ts'

/** What the source itself says the bytes are, in lower-case hex. */
export interface Digests {
  readonly sha256?: string | undefined
  readonly md5?: string | undefined
}

/**
 * Finds the file that has this path relative to the folder of another one. The path is plain: no step up, no empty segment.
 * @throws FetchError
 */
export type Beside = (path: string) => Promise<Location> | Location

export interface FileLocation {
  readonly kind: 'file'
  readonly path: string
  readonly uri?: string
  readonly digests?: Digests
  readonly beside?: Beside
  readonly uriForNeighbours?: string
}

/** An answer that brings no file. */
export interface Refusal {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** The beginning of its body. It may repeat credentials, so only codes are taken out of it. */
  readonly body: string
}

/** What a refusal means with this source, and the remedy; undefined for what its status says anywhere. */
export type Explain = (refusal: Refusal) => FetchError | PassingFailure | undefined

export interface HttpLocation {
  readonly kind: 'http'
  readonly url: URL
  readonly authorize?: Authorize | undefined
  readonly explain?: Explain | undefined
  /** Names exactly these bytes for good. */
  readonly uri?: string
  /** The same, for sources that tell the version with the bytes. */
  readonly pin?: (headers: IncomingHttpHeaders) => string | undefined
  readonly digests?: Digests
  /** Absent where the source names one object alone. The files in an archive are found in the same archive, without it. */
  readonly beside?: Beside
  /** To be resolved to in place of `uri` by a model that needs files beside it, where `uri` names one object alone. */
  readonly uriForNeighbours?: string
  /** The file is inside an archive. */
  readonly archive?: Archive
}

export interface Archive {
  readonly compression: 'none' | 'gzip' | 'zstd'
  /** The member to take; without it the only .onnx file. */
  readonly member?: string | undefined
}

export type Location = FileLocation | HttpLocation

/** What a source's module works with: the network, the environment, and other sources (a registry may point to a bucket). */
export interface LocateContext extends Remote {
  readonly locate: (uri: string) => Promise<Location>
}

/** Finds where the bytes of a URI are. @throws FetchError */
export type Locate = (uri: string, context: LocateContext) => Promise<Location> | Location
