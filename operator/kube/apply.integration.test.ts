/** Server-side apply only where objects differ, against the sandbox's API server and its defaults, quantities and managed fields. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { startApiServer, type ApiServer } from '../../sandbox/apiserver/apiserver.ts'
import { createApplier } from './apply.ts'
import { createClient, type Client } from './client.ts'
import { configOf } from './fake-server.ts'
import type { KubeObject, Resource } from './resource.ts'
import {
  CONFIG_MAP,
  CONTROLLER_REVISION,
  DEPLOYMENT,
  HORIZONTAL_POD_AUTOSCALER,
  JOB,
  POD_DISRUPTION_BUDGET,
  readAs,
  SERVICE,
} from './resources.ts'
import { createTransport, type Transport } from './transport.ts'

interface Any extends KubeObject {
  readonly [field: string]: unknown
}

let server: ApiServer
let transport: Transport
let client: Client
let writes: string[] = []

beforeAll(async () => {
  server = await startApiServer({
    host: '127.0.0.1',
    port: 0,
    onRequest: ({ method, path }) => void (method !== 'GET' && writes.push(`${method} ${path}`)),
  })
  const caData = Buffer.from(server.caPem).toString('base64')
  transport = createTransport(configOf(server.url, { token: server.token }, { caData }))
  client = createClient(transport)
})

afterAll(async () => {
  transport.close()
  await server.close()
})

beforeEach(() => {
  writes = []
})

function configMap(name: string, data: Record<string, string>) {
  return { metadata: { namespace: 'default', name }, data }
}

function deployment(name: string): Any {
  const labels = { app: name }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { namespace: 'default', name, labels },
    spec: {
      selector: { matchLabels: labels },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: 0 } },
      template: {
        metadata: { labels },
        spec: {
          automountServiceAccountToken: false,
          securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
          terminationGracePeriodSeconds: 45,
          initContainers: [
            {
              name: 'fetch',
              image: 'server:1',
              args: ['fetch'],
              volumeMounts: [{ name: 'models', mountPath: '/models' }],
            },
          ],
          containers: [
            {
              name: 'server',
              image: 'server:1',
              args: ['serve', '--port=8080'],
              env: [{ name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
              ports: [{ name: 'http', containerPort: 8080 }],
              resources: { requests: { cpu: '1000m', memory: '512Mi' }, limits: { memory: '1024Mi' } },
              readinessProbe: { httpGet: { path: '/readyz', port: 'http' }, periodSeconds: 1 },
              securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
              volumeMounts: [
                { name: 'models', mountPath: '/models', readOnly: true },
                { name: 'traffic', mountPath: '/etc/traffic' },
              ],
            },
          ],
          volumes: [
            { name: 'models', emptyDir: {} },
            { name: 'traffic', configMap: { name: 'traffic', optional: true } },
          ],
          tolerations: [{ key: 'gpu', operator: 'Exists', effect: 'NoSchedule' }],
        },
      },
    },
  }
}

const metadata = (name: string) => ({ namespace: 'default', name })

const objects: [string, Resource, Any][] = [
  ['a Deployment', DEPLOYMENT, deployment('plain')],
  [
    'a Service',
    SERVICE,
    {
      metadata: metadata('svc'),
      spec: { selector: { app: 'x' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
    },
  ],
  ['a ConfigMap', CONFIG_MAP, configMap('cm', { 'fraud.json': '{"id":1}', other: '1000m' })],
  [
    'an HPA',
    HORIZONTAL_POD_AUTOSCALER,
    {
      metadata: metadata('hpa'),
      spec: {
        scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'plain' },
        minReplicas: 2,
        maxReplicas: 5,
        metrics: [
          { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 70 } } },
        ],
        behavior: { scaleDown: { selectPolicy: 'Disabled' } },
      },
    },
  ],
  [
    'a PDB',
    POD_DISRUPTION_BUDGET,
    {
      metadata: metadata('pdb'),
      spec: { maxUnavailable: 1, selector: { matchLabels: { app: 'x' } }, unhealthyPodEvictionPolicy: 'AlwaysAllow' },
    },
  ],
  [
    'a Job',
    JOB,
    {
      metadata: metadata('job'),
      spec: {
        backoffLimit: 0,
        template: {
          spec: { restartPolicy: 'Never', containers: [{ name: 'fetch', image: 'server:1', args: ['fetch'] }] },
        },
      },
    },
  ],
  [
    'a ControllerRevision',
    CONTROLLER_REVISION,
    { metadata: metadata('rev'), revision: 1, data: { spec: { a: [1, { b: 2 }] } } },
  ],
]

describe('the applier', () => {
  test.each(objects)(
    '%s: once made, neither this process nor the next one has anything to do',
    async (_, kind, desired) => {
      const resource = readAs<Any>(kind)
      const name = { namespace: 'default', name: desired.metadata?.name ?? '' }
      const applier = createApplier({ client, fieldManager: 'us' })
      expect((await applier.apply({ resource, desired, live: undefined })).outcome).toBe('created')
      const live = await client.get(resource, name)
      const again = await applier.apply({ resource, desired, live })
      expect(again.outcome).toBe('unchanged')
      const next = await createApplier({ client, fieldManager: 'us' }).apply({ resource, desired, live })
      expect(next).toEqual({ outcome: 'unchanged' })
      expect(writes).toHaveLength(1)
    },
  )

  test('a Deployment through its life: scaled by others, changed by us and by others, a field dropped', async () => {
    const resource = readAs<Any>(DEPLOYMENT)
    const name = { namespace: 'default', name: 'life' }
    const initially = { spec: { replicas: 4 } }
    let desired = deployment('life')
    const apply = async () => {
      const live = await client.get(resource, name).catch(() => undefined)
      return createApplier({ client, fieldManager: 'us' }).apply({ resource, desired, live, initially })
    }
    const spec = async () => (await client.get(DEPLOYMENT, name)).spec
    await apply()
    expect((await spec())?.replicas).toBe(4)
    await apply() // A new process lets go of replicas.
    expect((await apply()).outcome).toBe('unchanged')
    expect((await spec())?.replicas).toBe(4)

    await client.patchScale(DEPLOYMENT, name, 7, { fieldManager: 'autoscaler' })
    expect((await apply()).outcome).toBe('unchanged')

    const changed = structuredClone(desired) as {
      spec: { template: { spec: { tolerations?: object[]; containers: { image: string }[] } } }
    }
    delete changed.spec.template.spec.tolerations
    for (const container of changed.spec.template.spec.containers) container.image = 'server:2'
    desired = changed
    expect((await apply()).outcome).toBe('applied')
    expect(await spec()).toMatchObject({ replicas: 7, template: { spec: { containers: [{ image: 'server:2' }] } } })
    expect((await spec())?.template.spec?.tolerations).toBeUndefined()

    const foreign = { spec: { template: { spec: { containers: [{ name: 'server', image: 'evil:1' }] } } } }
    await client.patch(DEPLOYMENT, name, { type: 'strategic', body: foreign }, { fieldManager: 'stranger' })
    const undone = await apply()
    expect(undone.outcome).toBe('applied')
    expect(undone).toMatchObject({ because: [{ live: 'evil:1' }] })
    expect((await spec())?.template.spec?.containers[0]?.image).toBe('server:2')

    const theirs = { metadata: { annotations: { theirs: 'x' } } }
    await client.patch(DEPLOYMENT, name, { type: 'merge', body: theirs }, { fieldManager: 'stranger' })
    expect((await apply()).outcome).toBe('unchanged')
  })

  test("an object of somebody else's is refused", async () => {
    await client.create(CONFIG_MAP, configMap('taken', { a: 'theirs' }))
    const owner = { kind: 'Maker', name: 'm', uid: 'u' }
    const desired = configMap('taken', { a: 'ours' })
    const applier = createApplier({ client, fieldManager: 'us' })
    const outcome = await applier.apply({ resource: CONFIG_MAP, desired, live: undefined, owner })
    expect(outcome).toMatchObject({ outcome: 'refused', conflict: { reason: 'NoController' } })
    expect((await client.get(CONFIG_MAP, { namespace: 'default', name: 'taken' })).data).toEqual({ a: 'theirs' })
  })
})
