/** What `serve` can be told, without the server: the health check reads the same flags, and loads nothing else. */
import { getHeapStatistics } from 'node:v8'
import { Command, Option } from 'commander'
import { EXECUTION_MODES, type ExecutionMode } from '../model/run-options.ts'
import { wholeNumber } from '../monitor/flag-values.ts'
import { MONITOR_OPTIONS, type MonitorFlags } from '../monitor/flags.ts'
import { THREAD_CHOICES, type ThreadChoice } from './engine/opened-model.ts'
import { DEFAULT_LIMITS } from './http/limits.ts'

export interface ServeFlags extends MonitorFlags {
  readonly modelDir: string
  readonly modelName: string
  readonly modelVersion: string
  readonly revision: string
  readonly host: string
  readonly port: number
  readonly grpcPort?: number
  readonly trafficDir?: string
  readonly batchMaxSize: number
  readonly batchMaxDelayMs: number
  readonly maxQueuedRows: number
  readonly requestDeadlineMs: number
  readonly maxInstances: number
  readonly maxBodyBytes: number
  readonly maxInflightBodyMib: number
  readonly maxConnections: number
  readonly tokenFile?: string
  readonly tlsCertFile?: string
  readonly tlsKeyFile?: string
  readonly tlsClientCaFile?: string
  readonly warmupRequests: number
  readonly intraOpThreads: number
  readonly interOpThreads?: number
  readonly executionMode: ExecutionMode
  readonly modelThread: ThreadChoice
  readonly runLimitSeconds: number
  readonly relayTimeoutMs: number
  readonly drainSeconds: number
  readonly drainGraceSeconds: number
  readonly logLevel: string
}

const EXAMPLES = `
Examples:
  $ serve --model-dir=./models --port=8080
  $ curl localhost:8080/predict -H 'content-type: application/json' -d '{"features": [5.1, 3.5, 1.4, 0.2]}'
  $ serve --model-dir=/models --model-name=fraud --model-version=3 --revision=fraud-1a2b3c4d5e \\
      --traffic-dir=/etc/penstock/traffic --batch-max-size=64 --drain-seconds=30
  $ profile train.csv --model=models/model.onnx --out=profile.json
  $ serve --model-dir=./models --profile=profile.json`

const RUNTIME_OPTIONS: readonly Option[] = [
  new Option('--intra-op-threads <count>', 'threads that one operator of the model may use')
    .argParser(wholeNumber(1, 256))
    .default(1)
    .env('PENSTOCK_INTRA_OP_THREADS'),
  new Option(
    '--execution-mode <mode>',
    "whether the model's operators are computed one after another, or several at once",
  )
    .choices(EXECUTION_MODES)
    .default('sequential')
    .env('PENSTOCK_EXECUTION_MODE'),
  new Option(
    '--inter-op-threads <count>',
    "operators at once with --execution-mode=parallel; ONNX Runtime's own choice by default: the cores that it sees",
  )
    .argParser(wholeNumber(1, 256))
    .env('PENSTOCK_INTER_OP_THREADS'),
]

const TLS_OPTIONS: readonly Option[] = [
  new Option(
    '--tls-cert-file <file>',
    'certificate (PEM, with its chain), read again when it changes: both ports then speak TLS alone',
  ).env('PENSTOCK_TLS_CERT_FILE'),
  new Option('--tls-key-file <file>', 'key of the certificate (PEM)').env('PENSTOCK_TLS_KEY_FILE'),
  new Option(
    '--tls-client-ca-file <file>',
    'authorities of client certificates (PEM): all but health and metrics needs one',
  ).env('PENSTOCK_TLS_CLIENT_CA_FILE'),
]

/** The command with all its options, and nothing that it does: whoever asks a server reads them as it does. */
export function serveFlagsCommand(): Command {
  const { PENSTOCK_HOST: host = '0.0.0.0' } = process.env
  const command = new Command('serve')
    .description('answer inference requests with model.onnx of a directory')
    .option('--model-dir <dir>', 'where model.onnx is', '/models')
    .option('--model-name <name>', 'what the model is called in the V2 protocol', 'model')
    .option('--model-version <version>', 'what people call this version', '1')
    .option('--revision <revision>', 'the revision that this process serves, named on every answer', 'local')
    .option('--host <address>', 'where to listen; PENSTOCK_HOST sets the default', host)
    .option('--port <port>', 'where to listen', wholeNumber(0, 65_535), 8080)
    .option('--grpc-port <port>', 'where to listen for gRPC too; without it there is none', wholeNumber(0, 65_535))
    .option('--traffic-dir <dir>', 'where the traffic plan is mounted; without it every request is answered here')
    .option('--batch-max-size <rows>', 'rows that are computed together', wholeNumber(1, 65_536), 64)
    .option(
      '--batch-max-delay-ms <ms>',
      'how long a request may wait for others to be computed with',
      wholeNumber(0, 10_000),
      0,
    )
    .option(
      '--max-queued-rows <rows>',
      'rows that may wait for the model; more are refused with 429',
      wholeNumber(1),
      4096,
    )
    .option('--request-deadline-ms <ms>', 'a request that would wait longer is refused', wholeNumber(1), 10_000)
    .option('--max-instances <rows>', 'rows that one request may have', wholeNumber(1), 1024)
    .option('--max-body-bytes <bytes>', 'size of a request', wholeNumber(1), 4 * 1024 * 1024)
    .option(
      '--max-inflight-body-mib <mib>',
      'size of all requests that arrive or wait for answers; more are refused with 429',
      wholeNumber(1),
      defaultInflightMib(),
    )
    .option('--max-connections <count>', 'connections at once', wholeNumber(1), DEFAULT_LIMITS.maxConnections)
    .addOption(
      new Option(
        '--token-file <file>',
        'bearer tokens, one a line, read again when it changes: all but health and metrics needs one',
      ).env('PENSTOCK_TOKEN_FILE'),
    )
    .addOption(
      new Option('--model-thread <when>', 'compute on a thread of its own; auto: a model that takes long or is large')
        .choices(THREAD_CHOICES)
        .default('auto'),
    )
    .option(
      '--run-limit-seconds <seconds>',
      'a model on a thread of its own that takes longer over one run hangs: the process ends, to be started anew',
      wholeNumber(1, 86_400),
      120,
    )
    .option('--warmup-requests <count>', 'runs of the model before it is ready', wholeNumber(0, 10_000), 8)
    .option(
      '--relay-timeout-ms <ms>',
      'how long the peer revision may take before this one answers; slow models get four times their own time',
      wholeNumber(1),
      800,
    )
    .option('--drain-seconds <seconds>', 'how long to go on answering after SIGTERM, at most', wholeNumber(0), 30)
    .option('--drain-grace-seconds <seconds>', 'silence after which a connection may be closed then', wholeNumber(0), 5)
    .addOption(
      new Option('--log-level <level>').choices(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
    )
    .addHelpText('after', EXAMPLES)
  for (const option of [...RUNTIME_OPTIONS, ...TLS_OPTIONS, ...MONITOR_OPTIONS]) command.addOption(option)
  return command
}

const MIB = 1024 * 1024
const MIN_DEFAULT_INFLIGHT_MIB = 4
const MAX_DEFAULT_INFLIGHT_MIB = 256
/** Numbers take up to four times the memory of their text while they wait for the model: at most half of the heap. */
const HEAP_SHARE = 1 / 8

/** By the heap, which V8 bounds by the memory of the container. */
function defaultInflightMib(): number {
  const share = Math.floor((getHeapStatistics().heap_size_limit * HEAP_SHARE) / MIB)
  return Math.max(MIN_DEFAULT_INFLIGHT_MIB, Math.min(MAX_DEFAULT_INFLIGHT_MIB, share))
}
