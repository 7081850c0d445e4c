/**
 * The model server, put together: listens at once, loads and warms the model, then answers; follows its traffic plan; and leaves
 * without losing a request. Everything it needs comes in as options; it touches neither `process` nor the environment.
 */
import { randomInt, randomUUID } from 'node:crypto'
import type { Logger } from 'pino'
import { ServerMetrics, addProcessMetrics } from '../metrics/server-metrics.ts'
import { registerModelFacts, registerMonitorMetrics } from '../monitor/metrics.ts'
import { startMonitor, type Monitor } from '../monitor/monitor.ts'
import { Tokens } from './access/tokens.ts'
import { openModel } from './engine/open-model.ts'
import type { OpenedModel } from './engine/opened-model.ts'
import { openPorts } from './ports.ts'
import { serveModel } from './served-model.ts'
import type { ServerOptions } from './server-options.ts'
import { ServingState } from './serving-state.ts'
import type { TlsFiles } from './tls/tls-files.ts'
import { TlsIdentity } from './tls/tls-identity.ts'
import { watchPlan } from './traffic/plan-watch.ts'
import { Traffic } from './traffic/traffic.ts'

export interface RunningServer {
  readonly host: string
  readonly port: number
  /** Absent without gRPC. */
  readonly grpcPort?: number
  /** Resolves when the model answers; rejects with a ModelError when it cannot. */
  readonly ready: Promise<void>
  /** Resolves when everybody has been answered and the server is closed: true if no request was cut off. */
  drain(): Promise<boolean>
  /** Closes everything at once. */
  close(): Promise<void>
}

/** Listens when it resolves. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { log, revision, modelVersion } = options
  const state = new ServingState()
  const metrics = new ServerMetrics({
    revision,
    version: modelVersion,
    sha256: () => state.model?.sha256 ?? '',
    planId: () => traffic.planId,
    queuedRows: () => state.model?.queuedRows ?? 0,
  })
  if (options.processMetrics) addProcessMetrics(metrics)
  const instance = randomUUID()
  const monitor = await startMonitor(options.monitoring, { revision, instance })
  registerMonitorMetrics(metrics.registry, monitor)
  const tls = options.tls === undefined ? undefined : openIdentity(options.tls, log)
  const traffic = new Traffic({
    revision,
    identity: tls,
    relayTimeoutMs: options.relayTimeoutMs,
    phase: randomInt(1000),
    onRelay: (peer, result) => metrics.countRelayed(peer, result),
  })
  const tokens = options.tokenFile === undefined ? undefined : openTokens(options.tokenFile, log)
  const ports = await openPorts({ options, instance, state, metrics, monitor, traffic, tokens, tls })
  const watch = options.trafficDir === undefined ? undefined : followPlan(options.trafficDir, traffic, options)
  const opened = becomeReady({ state, metrics, monitor, traffic }, options)
  const release = async () => {
    watch?.close()
    tokens?.close()
    tls?.close()
    traffic.close()
    await ports.closed
    await opened.then(
      (model) => model.close(),
      () => undefined,
    )
  }
  return {
    host: options.host,
    port: ports.http,
    ...(ports.grpc !== undefined && { grpcPort: ports.grpc }),
    ready: opened.then(() => undefined),
    async drain() {
      state.startDraining()
      const lostNone = await ports.drain(options.drain)
      await release()
      return lostNone
    },
    async close() {
      state.startDraining()
      ports.close()
      await release()
    },
  }
}

function openTokens(path: string, log: Logger): Tokens {
  return new Tokens({
    path,
    onChange: (message) => log.info(message),
    onBadChange: (message) => log.error(message),
  })
}

function openIdentity(files: TlsFiles, log: Logger): TlsIdentity {
  return new TlsIdentity({
    files,
    onChange: (message) => log.info(message),
    onTrouble: (message) => log.error(message),
  })
}

interface Parts {
  readonly state: ServingState
  readonly metrics: ServerMetrics
  readonly monitor: Monitor
  readonly traffic: Traffic
}

async function becomeReady({ state, metrics, monitor, traffic }: Parts, options: ServerOptions): Promise<OpenedModel> {
  const { log, batching } = options
  const { modelPath: path, warmUpRuns, runtime, thread, runLimitMs, onLost } = options
  const opened = await openModel({ path, warmUpRuns, runtime, thread, runLimitMs, onLost })
  const { facts: model, warmth, isOnThread } = opened
  const loadMs = Math.round(opened.loadMs)
  monitor.watch(model.signature)
  if (warmth.runMs !== undefined) traffic.modelRuns(warmth.runMs)
  for (const note of [...model.notes, ...warmth.notes]) log.warn(note)
  const batchingOfModel = {
    ...batching,
    maxRows: warmth.rowsAreIndependent ? batching.maxRows : 1,
    maxTensorRows: warmth.tensorsAreIndependent ? batching.maxRows : 1,
  }
  const count = (rows: number) => metrics.batchRows.observe(rows)
  state.modelIsServed(
    serveModel(model, opened.engine, batchingOfModel, {
      onBatch: count,
      onClass: (label) => metrics.countClass(label),
      onAnswer: (id, rowAt, predictions) => monitor.observe(id, rowAt, predictions),
    }),
  )
  const { sha256, sizeBytes } = model
  registerModelFacts(metrics.registry, { sizeBytes, loadMs, runMs: warmth.runMs })
  log.info(
    { sha256, sizeBytes, loadMs, runMs: warmth.runMs, isOnThread, version: options.modelVersion },
    'serving the model',
  )
  return opened
}

function followPlan(dir: string, traffic: Traffic, { revision, log }: ServerOptions) {
  return watchPlan({
    dir,
    revision,
    onPlan: (plan) => {
      if (traffic.follow(plan)) log.info({ plan }, 'following a new traffic plan')
      else log.debug({ plan: plan.id, inForce: traffic.planId }, 'an older traffic plan was ignored')
    },
    onGone: () => traffic.standAlone(),
    onBadPlan: (message) => log.error(message),
  })
}
