import type { Logger } from 'pino'
import type { RunOptions } from '../model/run-options.ts'
import type { MonitorSettings } from '../monitor/settings.ts'
import type { DrainTiming } from './drain.ts'
import type { ThreadChoice } from './engine/opened-model.ts'
import type { HttpLimits } from './http/limits.ts'
import type { BatchingOptions } from './served-model.ts'
import type { TlsFiles } from './tls/tls-files.ts'

/** All that a server is told; nothing else decides what it does. */
export interface ServerOptions {
  readonly modelPath: string
  readonly modelName: string
  readonly modelVersion: string
  /** Of the server program. */
  readonly serverVersion: string
  readonly revision: string
  readonly host: string
  /** 0 for any free one. */
  readonly port: number
  /** Of gRPC; 0 for any free one. Without it there is no gRPC. */
  readonly grpcPort?: number
  readonly trafficDir?: string
  readonly batching: BatchingOptions
  /** Rows that one request may have. */
  readonly maxInstances: number
  readonly maxBodyBytes: number
  /** Of all requests that are arriving or waiting for their answers; what comes above it is refused. At least `maxBodyBytes`. */
  readonly maxInflightBodyBytes: number
  readonly limits: HttpLimits
  /** Bearer tokens of those who may ask for more than health and metrics; without it everybody may. */
  readonly tokenFile?: string
  /** With these both ports speak TLS, and nothing else. */
  readonly tls?: TlsFiles
  readonly warmUpRuns: number
  readonly runtime: RunOptions
  /** Where the model computes. */
  readonly thread: ThreadChoice
  /** What one run of a model on a thread of its own may take, in milliseconds. */
  readonly runLimitMs: number
  /** Told when the model can compute no more: the process should be ended by force, and be started anew. */
  readonly onLost: (error: Error) => void
  readonly relayTimeoutMs: number
  readonly drain: DrainTiming
  readonly monitoring: MonitorSettings
  readonly log: Logger
  /** Of the process, as prom-client gathers them. */
  readonly processMetrics: boolean
}
