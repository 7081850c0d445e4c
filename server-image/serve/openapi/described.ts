import type { Profile } from '../../monitor/profile.ts'
import type { BatchingOptions, ServedModel } from '../served-model.ts'
import type { TlsFiles } from '../tls/tls-files.ts'
import type { Examples } from './examples.ts'

/** What is known of a server whatever its model is. */
export interface DescribedServer {
  readonly modelName: string
  readonly modelVersion: string
  /** Of the server program. */
  readonly serverVersion: string
  readonly revision: string
  /** Rows that one request may have. */
  readonly maxInstances: number
  readonly maxBodyBytes: number
  readonly batching: Pick<BatchingOptions, 'maxQueuedRows' | 'deadlineMs'>
  /** When it is there, requests need a token of it. */
  readonly tokenFile?: string
  /** With a client authority, requests need a certificate of it. */
  readonly tls?: Pick<TlsFiles, 'clientCaFile'>
  /** Of the training data, when it is known. */
  readonly profile: Profile | undefined
}

/** All that the document is made of. */
export interface Described extends DescribedServer {
  readonly model: Pick<ServedModel, 'sha256' | 'contract' | 'signature'>
  readonly examples: Examples
}
