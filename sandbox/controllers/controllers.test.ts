import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { setTimeout as delay } from 'node:timers/promises'
import { createClient, type Client } from '../../operator/kube/client.ts'
import { KubeConfig } from '@kubernetes/client-node'
import * as resources from '../../operator/kube/resources.ts'
import { readAs } from '../../operator/kube/resources.ts'
import { createTransport, type Transport } from '../../operator/kube/transport.ts'
import { startApiServer, type ApiServer } from '../apiserver/apiserver.ts'
import { startControllers, type Controllers } from './controllers.ts'
import { conditionOf, isReady } from './pod-state.ts'
import type * as objects from './objects.ts'
import type { HorizontalPodAutoscaler } from './autoscaling/objects.ts'

const POD = readAs<objects.Pod>(resources.POD)
const DEPLOYMENT = readAs<objects.Deployment>(resources.DEPLOYMENT)
const REPLICA_SET = readAs<objects.ReplicaSet>(resources.REPLICA_SET)
const JOB = readAs<objects.Job>(resources.JOB)
const ENDPOINT_SLICE = readAs<objects.EndpointSlice>(resources.ENDPOINT_SLICE)
const BUDGET = readAs<objects.PodDisruptionBudget>(resources.POD_DISRUPTION_BUDGET)
const AUTOSCALER = readAs<HorizontalPodAutoscaler>(resources.HORIZONTAL_POD_AUTOSCALER)

/** The controllers on the sandbox's API server, with a stand-in for the kubelet that makes pods run, or end, as tests say. */
interface Stage {
  readonly server: ApiServer
  readonly transport: Transport
  readonly client: Client
  readonly controllers: Controllers
  readonly writes: string[]
  /** Set `every` to refuse or drop each n-th request of the controllers. */
  readonly trouble: { every: number }
  readonly nodeEnds: AbortController
  readonly nodeEnded: Promise<void>
}

/** How a pod ends by itself: label `ends` = Succeeded or Failed. */
function statusOf(pod: objects.Pod, index: number): objects.PodStatus {
  const now = new Date().toISOString().slice(0, 19) + 'Z'
  const phase = pod.metadata.labels?.ends ?? 'Running'
  const ready = phase === 'Running' && pod.metadata.labels?.broken === undefined
  return {
    phase,
    podIP: `10.0.0.${index % 250}`,
    startTime: now,
    conditions: [{ type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime: now }],
  }
}

async function playNode(client: Client, signal: AbortSignal): Promise<void> {
  let index = 0
  while (!signal.aborted) {
    const { items } = await client.list(POD)
    for (const pod of items) {
      const name = { namespace: pod.metadata.namespace ?? '', name: pod.metadata.name }
      const { uid } = pod.metadata
      if (pod.metadata.deletionTimestamp !== undefined) {
        await client.delete(POD, name, { gracePeriodSeconds: 0, preconditions: { uid } }).catch(() => undefined)
      } else if (pod.status?.podIP === undefined) {
        const body = { status: statusOf(pod, ++index) }
        await client.patchStatus(POD, name, { type: 'merge', body }).catch(() => undefined)
      }
    }
    await delay(5)
  }
}

async function raise(): Promise<Stage> {
  const writes: string[] = []
  const trouble = { every: 0 }
  let requests = 0
  const server = await startApiServer({
    host: '127.0.0.1',
    port: 0,
    faults: ({ userAgent }) => {
      if (trouble.every === 0 || userAgent !== 'controllers' || ++requests % trouble.every !== 0) return undefined
      return requests % 2 === 0 ? 'drop' : { status: 500 }
    },
    onRequest: ({ method, path, userAgent }) => {
      if (method !== 'GET' && userAgent === 'controllers') writes.push(`${method} ${path}`)
    },
  })
  const config = new KubeConfig()
  config.loadFromString(JSON.stringify(server.kubeconfig()))
  const transport = createTransport(config)
  const own = createTransport(config, { userAgent: 'controllers' })
  const client = createClient(transport)
  const controllers = await startControllers({
    client: createClient(own),
    certificateAuthority: server.caPem,
    jobBackoffSeconds: 0.05,
  })
  const nodeEnds = new AbortController()
  const nodeEnded = playNode(client, nodeEnds.signal)
  const closing: Transport = {
    ...transport,
    close: () => {
      transport.close()
      own.close()
    },
  }
  return { server, transport: closing, client, controllers, writes, trouble, nodeEnds, nodeEnded }
}

async function eventually<T>(look: () => Promise<T | undefined>, what: string): Promise<T> {
  const deadline = Date.now() + 10_000
  for (;;) {
    const found = await look().catch(() => undefined)
    if (found !== undefined) return found
    if (Date.now() > deadline) throw new Error(`not seen in time: ${what}`)
    await delay(5)
  }
}

function podTemplate(app: string, image = 'app:1', labels = {}): objects.PodTemplate {
  return {
    metadata: { labels: { app, ...labels } },
    spec: { containers: [{ name: 'main', image, ports: [{ name: 'http', containerPort: 8080 }] }] },
  }
}

function deployment(
  namespace: string,
  name: string,
  spec: Partial<objects.Deployment['spec']> = {},
): objects.Deployment {
  const selector = { matchLabels: { app: name } }
  return {
    metadata: { namespace, name },
    spec: { replicas: 2, selector, template: podTemplate(name), ...spec },
  } as objects.Deployment
}

describe('the controllers on the sandbox API server', () => {
  let stage: Stage
  let namespace = ''
  let count = 0

  beforeAll(async () => {
    stage = await raise()
  })
  afterAll(async () => {
    stage.nodeEnds.abort()
    await stage.nodeEnded
    await stage.controllers.stop()
    stage.transport.close()
    await stage.server.close()
  })

  async function freshNamespace(): Promise<void> {
    namespace = `test-${++count}`
    await stage.client.create(resources.NAMESPACE, { metadata: { name: namespace } })
  }

  const complete = (name: string, generation: number): Promise<objects.Deployment> =>
    eventually(async () => {
      const found = await stage.client.get(DEPLOYMENT, { namespace, name })
      const { observedGeneration, updatedReplicas, replicas, availableReplicas } = found.status ?? {}
      const wanted = found.spec.replicas
      const done = [updatedReplicas, replicas, availableReplicas].every((value) => value === wanted)
      return done && (observedGeneration ?? 0) >= generation ? found : undefined
    }, `Deployment ${name} complete`)

  const podsOf = async (app: string): Promise<readonly objects.Pod[]> =>
    (await stage.client.list(POD, { namespace, labelSelector: `app=${app}` })).items

  test('a namespace gets its default ServiceAccount and the certificate', async () => {
    await freshNamespace()
    const { client } = stage
    await eventually(() => client.get(resources.SERVICE_ACCOUNT, { namespace, name: 'default' }), 'ServiceAccount')
    const map = await eventually(
      () => client.get(resources.CONFIG_MAP, { namespace, name: 'kube-root-ca.crt' }),
      'ConfigMap',
    )
    expect(map.data?.['ca.crt']).toBe(stage.server.caPem)
  })

  test('a Deployment rolls out, rolls on, scales, and then rests', async () => {
    await freshNamespace()
    const { client, writes } = stage
    await client.create(DEPLOYMENT, deployment(namespace, 'web'))
    const first = await complete('web', 1)
    expect(conditionOf(first.status?.conditions, 'Progressing')?.reason).toBe('NewReplicaSetAvailable')
    expect(first.metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('1')
    const body = { spec: { replicas: 3, template: podTemplate('web', 'app:2') } }
    await client.patch(DEPLOYMENT, { namespace, name: 'web' }, { type: 'merge', body })
    const second = await complete('web', 2)
    expect(second.metadata.annotations?.['deployment.kubernetes.io/revision']).toBe('2')
    await eventually(async () => ((await podsOf('web')).length === 3 ? true : undefined), 'only the new pods')
    expect((await podsOf('web')).map((pod) => pod.spec.containers[0]?.image)).toEqual(['app:2', 'app:2', 'app:2'])
    const sets = await eventually(async () => {
      const { items } = await client.list(REPLICA_SET, { namespace })
      return items.every(
        (one) =>
          one.status?.observedGeneration === one.metadata.generation && (one.status?.terminatingReplicas ?? 0) === 0,
      )
        ? items
        : undefined
    }, 'ReplicaSets at rest')
    expect(sets.map((one) => one.spec.replicas).sort()).toEqual([0, 3])
    await eventually(async () => {
      const before = writes.length
      await delay(300)
      return writes.length === before ? true : undefined
    }, 'a while without writes')
  })

  test('a Deployment gets there, with exactly its pods, although every third request fails', async () => {
    await freshNamespace()
    const { client, trouble } = stage
    trouble.every = 3
    try {
      await client.create(DEPLOYMENT, deployment(namespace, 'web', { replicas: 5 }))
      await complete('web', 1)
      const body = { spec: { template: podTemplate('web', 'app:2') } }
      await client.patch(DEPLOYMENT, { namespace, name: 'web' }, { type: 'merge', body })
      await complete('web', 2)
    } finally {
      trouble.every = 0
    }
    await eventually(async () => ((await podsOf('web')).length === 5 ? true : undefined), 'exactly five pods')
    expect((await podsOf('web')).map((pod) => pod.spec.containers[0]?.image)).toEqual(Array(5).fill('app:2'))
  })

  test('an orphan is adopted by the ReplicaSet that selects it, and let go when its labels change', async () => {
    await freshNamespace()
    const { client } = stage
    const orphan = {
      metadata: { namespace, name: 'orphan', labels: { app: 'set' } },
      spec: podTemplate('set').spec,
    } as unknown as objects.Pod
    await client.create(POD, orphan)
    const selector = { matchLabels: { app: 'set' } }
    await client.create(REPLICA_SET, {
      metadata: { namespace, name: 'set' },
      spec: { replicas: 1, selector, template: podTemplate('set') },
    } as unknown as objects.ReplicaSet)
    await eventually(async () => {
      const pod = await client.get(POD, { namespace, name: 'orphan' })
      return pod.metadata.ownerReferences?.[0]?.name === 'set' ? pod : undefined
    }, 'adoption')
    await client.patch(
      POD,
      { namespace, name: 'orphan' },
      { type: 'merge', body: { metadata: { labels: { app: 'free' } } } },
    )
    const pods = await eventually(async () => {
      const found = await podsOf('set')
      return found.length === 1 ? found : undefined
    }, 'a new pod in its place')
    expect(pods[0]?.metadata.name).toMatch(/^set-[a-z0-9]{5}$/)
    const released = await client.get(POD, { namespace, name: 'orphan' })
    expect(released.metadata.ownerReferences ?? []).toEqual([])
  })

  test('a Service finds its pods, and a budget counts them', async () => {
    await freshNamespace()
    const { client } = stage
    const service = {
      metadata: { namespace, name: 'web' },
      spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 'http' }] },
    }
    await client.create(readAs<objects.Service>(resources.SERVICE), service as unknown as objects.Service)
    await client.create(BUDGET, {
      metadata: { namespace, name: 'web' },
      spec: { maxUnavailable: 1, selector: { matchLabels: { app: 'web' } } },
    } as unknown as objects.PodDisruptionBudget)
    await client.create(DEPLOYMENT, deployment(namespace, 'web'))
    const slice = await eventually(async () => {
      const [found] = (
        await client.list(ENDPOINT_SLICE, { namespace, labelSelector: 'kubernetes.io/service-name=web' })
      ).items
      return found?.endpoints?.filter((endpoint) => endpoint.conditions?.ready).length === 2 ? found : undefined
    }, 'two endpoints')
    expect(slice.ports).toMatchObject([{ port: 8080 }])
    const budget = await eventually(async () => {
      const found = await client.get(BUDGET, { namespace, name: 'web' })
      return found.status?.currentHealthy === 2 ? found : undefined
    }, 'two healthy pods')
    expect(budget.status).toMatchObject({ disruptionsAllowed: 1, desiredHealthy: 1, expectedPods: 2 })
    expect((await podsOf('web')).every(isReady)).toBe(true)
  })

  test.each([
    ['Succeeded', 'Complete', 'CompletionsReached', { succeeded: 1 }],
    ['Failed', 'Failed', 'BackoffLimitExceeded', { failed: 2 }],
  ])('a Job whose pods end %s is %s', async (ends, condition, reason, counts) => {
    await freshNamespace()
    const { client } = stage
    const template = podTemplate('job', 'job:1', { ends })
    const spec = { backoffLimit: 1, template: { ...template, spec: { ...template.spec, restartPolicy: 'Never' } } }
    await client.create(JOB, { metadata: { namespace, name: 'job' }, spec } as objects.Job)
    const job = await eventually(async () => {
      const found = await client.get(JOB, { namespace, name: 'job' })
      return conditionOf(found.status?.conditions, condition) === undefined ? undefined : found
    }, `Job ${condition}`)
    expect(conditionOf(job.status?.conditions, condition)?.reason).toBe(reason)
    expect(job.status).toMatchObject({ ...counts, uncountedTerminatedPods: {} })
    const pods = await podsOf('job')
    expect(pods.flatMap((pod) => pod.metadata.finalizers ?? [])).toEqual([])
  })

  test('an autoscaler raises a Deployment to its minimum, and says that it has no metrics', async () => {
    await freshNamespace()
    const { client } = stage
    await client.create(DEPLOYMENT, deployment(namespace, 'web', { replicas: 1 }))
    await complete('web', 1)
    const spec = {
      minReplicas: 3,
      maxReplicas: 4,
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
    }
    await client.create(AUTOSCALER, { metadata: { namespace, name: 'web' }, spec } as HorizontalPodAutoscaler)
    const scaled = await complete('web', 2)
    expect(scaled.spec.replicas).toBe(3)
    const hpa = await eventually(async () => {
      const found = await client.get(AUTOSCALER, { namespace, name: 'web' })
      return found.status?.desiredReplicas === 3 ? found : undefined
    }, 'status of the autoscaler')
    expect(conditionOf(hpa.status?.conditions, 'AbleToScale')?.reason).toBe('SucceededRescale')
  })

  test.each(['Background', 'Foreground'] as const)(
    'a Deployment deleted in %s takes everything below it along',
    async (propagation) => {
      await freshNamespace()
      const { client } = stage
      await client.create(DEPLOYMENT, deployment(namespace, 'web'))
      await complete('web', 1)
      await client.delete(DEPLOYMENT, { namespace, name: 'web' }, { propagation })
      await eventually(async () => {
        const sets = await client.list(REPLICA_SET, { namespace })
        const left = sets.items.length + (await podsOf('web')).length
        return left === 0 ? true : undefined
      }, 'nothing left')
    },
  )

  test('a Deployment deleted as Orphan leaves its ReplicaSet, which another of the same selector takes over', async () => {
    await freshNamespace()
    const { client } = stage
    await client.create(DEPLOYMENT, deployment(namespace, 'web'))
    await complete('web', 1)
    const before = (await podsOf('web')).map((pod) => pod.metadata.uid).sort()
    await client.delete(DEPLOYMENT, { namespace, name: 'web' }, { propagation: 'Orphan' })
    await eventually(async () => {
      const [set] = (await client.list(REPLICA_SET, { namespace })).items
      return set !== undefined && (set.metadata.ownerReferences ?? []).length === 0 ? true : undefined
    }, 'an orphaned ReplicaSet')
    await eventually(
      async () => ((await client.list(DEPLOYMENT, { namespace })).items.length === 0 ? true : undefined),
      'no Deployment',
    )
    await client.create(DEPLOYMENT, deployment(namespace, 'web'))
    await complete('web', 1)
    expect((await podsOf('web')).map((pod) => pod.metadata.uid).sort()).toEqual(before)
  })

  test('an object deleted as Orphan is gone once all that it owned is released, whatever else happens to it', async () => {
    await freshNamespace()
    const { client } = stage
    const owner = await client.create(resources.CONFIG_MAP, { metadata: { namespace, name: 'owner' } })
    const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'owner', uid: owner.metadata?.uid ?? '' }]
    for (const name of ['one', 'two'])
      await client.create(resources.CONFIG_MAP, { metadata: { namespace, name, ownerReferences } })
    await client.delete(resources.CONFIG_MAP, { namespace, name: 'owner' }, { propagation: 'Orphan' })
    const left = await eventually(async () => {
      const { items } = await client.list(resources.CONFIG_MAP, { namespace })
      const ours = items.filter(({ metadata }) => metadata?.name !== 'kube-root-ca.crt')
      return ours.some(({ metadata }) => metadata?.name === 'owner') ? undefined : ours
    }, 'the owner gone')
    expect(left.map(({ metadata }) => metadata?.name).sort()).toEqual(['one', 'two'])
    expect(left.map(({ metadata }) => metadata?.ownerReferences ?? [])).toEqual([[], []])
  })

  test('a namespace that is deleted takes everything in it along', async () => {
    await freshNamespace()
    const { client } = stage
    await client.create(DEPLOYMENT, deployment(namespace, 'web'))
    await complete('web', 1)
    await client.delete(resources.NAMESPACE, { name: namespace })
    await eventually(async () => {
      const { items } = await client.list(resources.NAMESPACE)
      return items.some((one) => one.metadata?.name === namespace) ? undefined : true
    }, 'the namespace gone')
    expect(await podsOf('web')).toEqual([])
  })
})
