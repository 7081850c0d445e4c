import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { pino } from 'pino'
import type { RunOptions } from '../model/run-options.ts'
import { monitorSettingsOf } from '../monitor/flags.ts'
import { serveFlagsCommand, type ServeFlags } from './flags.ts'
import { DEFAULT_LIMITS } from './http/limits.ts'
import { startServer, type RunningServer } from './server.ts'
import type { ServerOptions } from './server-options.ts'

/** Time in which those who wait for a model that is lost are told so. */
const LAST_ANSWERS_MS = 200

/** `serve`: one model over HTTP until SIGTERM, which drains; a second one ends at once. */
export function serveCommand(): Command {
  return serveFlagsCommand().action(serve)
}

async function serve(flags: ServeFlags): Promise<void> {
  const log = pino({
    level: flags.logLevel,
    base: { revision: flags.revision },
    timestamp: pino.stdTimeFunctions.isoTime,
  })
  try {
    const server = await startServer({
      modelPath: join(flags.modelDir, 'model.onnx'),
      modelName: flags.modelName,
      modelVersion: flags.modelVersion,
      serverVersion: programVersion(),
      revision: flags.revision,
      host: flags.host,
      port: flags.port,
      ...(flags.grpcPort !== undefined && { grpcPort: flags.grpcPort }),
      ...(flags.trafficDir !== undefined && { trafficDir: flags.trafficDir }),
      batching: {
        maxRows: flags.batchMaxSize,
        maxDelayMs: flags.batchMaxDelayMs,
        maxQueuedRows: flags.maxQueuedRows,
        deadlineMs: flags.requestDeadlineMs,
      },
      maxInstances: flags.maxInstances,
      maxBodyBytes: flags.maxBodyBytes,
      maxInflightBodyBytes: inflightBytesOf(flags),
      limits: { ...DEFAULT_LIMITS, maxConnections: flags.maxConnections },
      ...(flags.tokenFile !== undefined && { tokenFile: flags.tokenFile }),
      ...tlsOf(flags),
      warmUpRuns: flags.warmupRequests,
      runtime: runtimeOf(flags),
      thread: flags.modelThread,
      onLost: (error) => {
        log.fatal({ reason: error.message }, 'the model computes no more: stopping, to start anew')
        writeTerminationMessage(error.message)
        // An exit would wait for the run to end, and no signal of its own reaches the first process of a container.
        setTimeout(() => process.abort(), LAST_ANSWERS_MS)
      },
      runLimitMs: flags.runLimitSeconds * 1000,
      relayTimeoutMs: flags.relayTimeoutMs,
      drain: { graceMs: flags.drainGraceSeconds * 1000, limitMs: flags.drainSeconds * 1000 },
      monitoring: monitorSettingsOf(flags),
      log,
      processMetrics: true,
    })
    drainOnSignal(server, log)
    await server.ready
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    log.fatal(message)
    writeTerminationMessage(message)
    process.exit(1)
  }
}

const MIB = 1024 * 1024

function inflightBytesOf({ maxBodyBytes, maxInflightBodyMib }: ServeFlags): number {
  if (maxInflightBodyMib * MIB >= maxBodyBytes) return maxInflightBodyMib * MIB
  throw new Error(
    `--max-inflight-body-mib=${maxInflightBodyMib} must have room for a request of --max-body-bytes=${maxBodyBytes}.`,
  )
}

function runtimeOf({ intraOpThreads, interOpThreads, executionMode }: ServeFlags): RunOptions {
  if (interOpThreads !== undefined && interOpThreads > 1 && executionMode !== 'parallel') {
    throw new Error(`--inter-op-threads=${interOpThreads} is of use with --execution-mode=parallel only.`)
  }
  return { intraOpThreads, executionMode, ...(interOpThreads !== undefined && { interOpThreads }) }
}

function tlsOf({
  tlsCertFile: certFile,
  tlsKeyFile: keyFile,
  tlsClientCaFile: clientCaFile,
}: ServeFlags): Pick<ServerOptions, 'tls'> {
  if (certFile !== undefined && keyFile !== undefined) {
    return { tls: { certFile, keyFile, ...(clientCaFile !== undefined && { clientCaFile }) } }
  }
  if (certFile === undefined && keyFile === undefined && clientCaFile === undefined) return {}
  throw new Error('TLS needs both --tls-cert-file and --tls-key-file; --tls-client-ca-file is for use with them.')
}

function drainOnSignal(server: RunningServer, log: pino.Logger): void {
  let isDraining = false
  const onSignal = (signal: NodeJS.Signals) => {
    if (isDraining) process.exit(1)
    isDraining = true
    log.info({ signal }, 'draining')
    void server.drain().then((lostNone) => {
      if (lostNone) log.info('drained')
      else log.warn('time is up: requests were cut off')
      process.exit(0)
    })
  }
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal)
}

function programVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  return version
}

/** Where Kubernetes looks for a container's last words; anywhere else there is no such file, and the log has them. */
function writeTerminationMessage(message: string): void {
  try {
    writeFileSync('/dev/termination-log', message, { flag: 'r+' })
  } catch {
    // Not in a container.
  }
}
