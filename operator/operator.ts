import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { KubeConfig } from '@kubernetes/client-node'
import type { Logger } from 'pino'
import { createApplyBackoff } from './apply-backoff.ts'
import { createCaches, textOf, type Caches } from './caches.ts'
import { createChildrenWriter } from './children-writer.ts'
import { createCluster } from './cluster.ts'
import { createScraper, type Scraper } from './evidence/scraper.ts'
import { createApplier } from './kube/apply.ts'
import { createClient, type Client } from './kube/client.ts'
import { createEventRecorder, type EventRecorder } from './kube/events.ts'
import { createElection, type Election } from './kube/lease.ts'
import { createKubeMetrics } from './kube/metrics.ts'
import { createTransport } from './kube/transport.ts'
import { createWorkqueue, type Workqueue, type WorkqueueMetrics } from './kube/workqueue.ts'
import { startHealthServer } from './ops/health-server.ts'
import { createMetrics, type OperatorMetrics } from './ops/metrics.ts'
import { createReconciler, type Key, type Reconciler } from './reconcile.ts'

export interface OperatorOptions {
  readonly kubeConfig: KubeConfig
  /** Server image for revisions that name none. */
  readonly serverImage: string
  /** Watch only this namespace; without it all of them. */
  readonly namespace?: string
  /** Where the lease is. */
  readonly leaseNamespace: string
  readonly health: { readonly host: string; readonly port: number }
  /** Reconciles at the same time. */
  readonly concurrency: number
  readonly log: Logger
  /** Called when the lease was lost to somebody else: the process must end, and start anew as a follower. */
  readonly onLost: (reason: string) => void
}

export interface Operator {
  readonly healthPort: number
  /** Ends what runs, gives the lease away and closes every connection. */
  stop(): Promise<void>
}

const LEASE_NAME = 'penstock-operator'
/** A reconcile that takes longer than this hangs: liveness fails and the kubelet restarts the process. */
const HUNG_AFTER_MS = 120_000
/** No event and no bookmark for so long: the watches are dead and nobody noticed. */
const SILENT_AFTER_MS = 600_000

/** The composition root: builds every part and hands it down. Caches fill at once; reconciling begins with the lease. */
export async function startOperator(options: OperatorOptions): Promise<Operator> {
  const { log } = options
  const metrics = createMetrics()
  const kubeMetrics = createKubeMetrics(metrics.registry)
  const transport = createTransport(options.kubeConfig, {
    userAgent: 'penstock-operator',
    metrics: kubeMetrics.transport,
  })
  const client = createClient(transport)
  const scraper = createScraper()
  const recorder = createEventRecorder({ client, controller: 'penstock.dev/operator', instance: hostname(), log })
  const scope = options.namespace === undefined ? {} : { namespace: options.namespace }
  const caches = createCaches({
    client,
    log,
    metrics: kubeMetrics.reflector,
    onChange: (key) => queue.add(textOf(key)),
    ...scope,
  })
  const election = buildElection({
    options,
    client,
    metrics,
    onElected: () => void caches.synced.then(() => queue.start()),
  })
  const reconciler = buildReconciler({
    options,
    client,
    caches,
    recorder,
    scraper,
    metrics,
    mayWrite: () => election.isLeader(),
  })
  const queue = createQueue({
    reconciler,
    election,
    metrics,
    queueMetrics: kubeMetrics.workqueue('modeldeployments'),
    log,
    concurrency: options.concurrency,
  })
  const isLive = () => queue.longestRunningMs() < HUNG_AFTER_MS && !isSilent(caches)
  const health = await startHealthServer({
    ...options.health,
    registry: metrics.registry,
    isLive,
    whyNotReady: () => whyNotReady(caches, election),
  })
  caches.start()
  election.start()
  return {
    healthPort: health.port,
    async stop() {
      await queue.stop()
      await recorder.close()
      await election.stop()
      await caches.stop()
      await health.close()
      scraper.close()
      transport.close()
    },
  }
}

interface ElectionParts {
  readonly options: OperatorOptions
  readonly client: Client
  readonly metrics: OperatorMetrics
  readonly onElected: () => void
}

function buildElection({ options, client, metrics, onElected }: ElectionParts): Election {
  return createElection({
    client,
    lease: { namespace: options.leaseNamespace, name: LEASE_NAME },
    identity: `${hostname()}_${randomBytes(4).toString('hex')}`,
    log: options.log,
    onElected: () => {
      metrics.leading(true)
      onElected()
    },
    onLost: (reason) => {
      metrics.leading(false)
      options.onLost(reason)
    },
  })
}

interface ReconcilerParts {
  readonly options: OperatorOptions
  readonly client: Client
  readonly caches: Caches
  readonly recorder: EventRecorder
  readonly scraper: Scraper
  readonly metrics: OperatorMetrics
  readonly mayWrite: () => boolean
}

function buildReconciler({
  options,
  client,
  caches,
  recorder,
  scraper,
  metrics,
  mayWrite,
}: ReconcilerParts): Reconciler {
  const applier = createApplier({ client, fieldManager: 'penstock' })
  const writer = createChildrenWriter({
    client,
    applier,
    caches,
    backoff: createApplyBackoff({ monotonicMs: () => performance.now() }),
    mayWrite,
  })
  return createReconciler({
    cluster: createCluster({ client, caches, writer, recorder }),
    scraper,
    settings: { defaultImage: options.serverImage },
    now: () => Date.now(),
    log: (message, fields) => {
      metrics.transition(String(fields.reason))
      options.log.info(fields, message)
    },
  })
}

interface QueueParts {
  readonly reconciler: Reconciler
  readonly election: Election
  readonly metrics: OperatorMetrics
  readonly queueMetrics: WorkqueueMetrics
  readonly log: Logger
  readonly concurrency: number
}

function createQueue({ reconciler, election, metrics, queueMetrics, log, concurrency }: QueueParts): Workqueue {
  return createWorkqueue({
    concurrency,
    metrics: queueMetrics,
    async process(text) {
      if (!election.isLeader()) return undefined
      const startedMs = performance.now()
      try {
        const requeueAfterMs = await reconciler.reconcile(keyOf(text))
        metrics.reconciled('Success', (performance.now() - startedMs) / 1000)
        return requeueAfterMs === undefined ? {} : { requeueAfterMs }
      } catch (error) {
        metrics.reconciled('Error', (performance.now() - startedMs) / 1000)
        throw error
      }
    },
    onFailure: ({ key, error, failures, retryInMs }) => {
      log.warn(
        { modelDeployment: key, reason: String(error), failures, retryInMs: Math.round(retryInMs) },
        'a reconcile failed and will be tried again',
      )
    },
  })
}

function keyOf(text: string): Key {
  const [namespace = '', name = ''] = text.split('/')
  return { namespace, name }
}

function whyNotReady(caches: Caches, election: Election): string | undefined {
  if (!caches.hasSynced()) return 'the caches are not filled yet'
  if (!election.isInTouch())
    return `Lease ${LEASE_NAME} could not be read or written lately; see the log, and the rights of the service account`
  return undefined
}

function isSilent(caches: Caches): boolean {
  return caches.hasSynced() && caches.silentForMs() > SILENT_AFTER_MS
}
