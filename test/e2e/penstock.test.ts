/**
 * The life of one ModelDeployment, as a user with Helm and kubectl leads it. The tests are chapters: each begins where the one before it
 * ended. From the first version on, users send requests all the time, and none of them may fail. Only while pods are killed without a warning
 * do other users take their place, who ask again when a connection breaks.
 */
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import { MODEL_DEPLOYMENT } from '../../operator/caches.ts'
import { createClient, type Client } from '../../operator/kube/client.ts'
import { loadKubeConfig } from '../../operator/kube/kubeconfig.ts'
import { POD } from '../../operator/kube/resources.ts'
import { createTransport, type Transport } from '../../operator/kube/transport.ts'
import { EVIDENCE_PATH, type Evidence } from '../../protocol/evidence.ts'
import { planKey, type PlanFile } from '../../protocol/plan.ts'
import { holdoutRows } from '../../examples/demo/rows.ts'
import { startTraffic, type Traffic } from '../../examples/demo/traffic.ts'
import { conditionOf, createWatcher, type Watcher } from '../../examples/demo/watcher.ts'
import { describeCluster, startCluster, type Cluster } from './cluster.ts'
import { DEFINITION, formerChart, newFieldOf } from './former-chart.ts'
import { TAG } from './images.ts'
import { killServerOf } from './kill-server.ts'
import { serveModelFiles, type ModelFiles } from './model-files.ts'
import { startPatientUsers } from './patient-users.ts'

const CHART = join(import.meta.dirname, '../../charts/penstock')
const SYSTEM = 'penstock-system'
const NAMESPACE = 'ml'
const NAME = 'biopsy'
const MDEP = `modeldeployment/${NAME}`
const REVISION_LABEL = 'penstock.dev/revision'
const PATIENT_SECONDS = 240
/** What every namespace has. */
const ROLES = [
  'get',
  'clusterroles,clusterrolebindings',
  '--selector=app.kubernetes.io/instance=penstock',
  '--output=name',
]
const OF_KUBERNETES = ['configmap/kube-root-ca.crt', 'serviceaccount/default']

let cluster: Cluster
let files: ModelFiles
let transport: Transport
let client: Client
let watcher: Watcher
let traffic: Traffic | undefined
/** Requests of users who were sent away for a while. */
let sentBefore = 0

jest.setTimeout(400_000)

beforeAll(async () => {
  const images = (process.env.PENSTOCK_E2E_IMAGES ?? '').split(delimiter)
  cluster = await startCluster({ dir: join(tmpdir(), 'cluster'), cgroup: process.env.PENSTOCK_E2E ?? '', images })
  files = await serveModelFiles()
  transport = createTransport(loadKubeConfig({ path: cluster.kubeconfigPath }))
  client = createClient(transport)
  watcher = createWatcher(() => client.get(MODEL_DEPLOYMENT, { namespace: NAMESPACE, name: NAME }))
  for (const name of [SYSTEM, NAMESPACE]) {
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' }
    await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } })
  }
}, 400_000)

afterAll(async () => {
  await traffic?.stop()
  transport?.close()
  await files?.close()
  await cluster?.close()
}, 60_000)

const kubectl = (...args: string[]) => cluster.kubectl([`--namespace=${NAMESPACE}`, ...args])
const helm = (...args: string[]) => cluster.helm([...args, `--namespace=${SYSTEM}`, `--timeout=${PATIENT_SECONDS}s`])
const apply = (object: object) => cluster.kubectl(['apply', '--filename=-'], JSON.stringify(object))
const image = (program: string) => `localhost/penstock/${program}`
const VALUES = Object.entries({
  'image.repository': image('operator'),
  'image.tag': TAG,
  'server.image.repository': image('server'),
  'server.image.tag': TAG,
}).map(([name, value]) => `--set=${name}=${value}`)

let brokeOff: string | undefined

/** A test that is not begun after another failed. The first that fails tells what the cluster looked like. */
function chapter(name: string, body: () => Promise<void>): void {
  test(name, async () => {
    if (brokeOff !== undefined) throw new Error(`not begun, as it failed before: ${brokeOff}`)
    try {
      await body()
    } catch (error) {
      brokeOff = name
      console.error(await describeCluster(cluster.kubectl, [SYSTEM, NAMESPACE]))
      throw error
    }
  })
}

/** A person approves the first step, so that it lasts as long as the test looks at it. */
function modelDeployment(version: 'v1' | 'v2' | 'v3' | 'v4'): object {
  return {
    apiVersion: 'penstock.dev/v1alpha1',
    kind: 'ModelDeployment',
    metadata: { name: NAME, namespace: NAMESPACE },
    spec: {
      model: { uri: files.uri(version), version },
      scaling: { replicas: 2 },
      rollout: {
        steps: [
          { weight: 20, approve: true },
          { weight: 100, hold: '5s' },
        ],
        gates: [{ name: 'errors', errorRate: { maxIncrease: 0.05 } }],
        minSamples: 100,
        progressDeadline: '10m',
        scaleDownDelay: '10s',
      },
    },
  }
}

async function eventually<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + PATIENT_SECONDS * 1000
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (performance.now() > deadline) throw new Error(`waited ${PATIENT_SECONDS} s for ${what}`)
    await delay(200)
  }
}

async function readyPods(revision = '') {
  const labelSelector = `${REVISION_LABEL}=${revision}`
  const { items } = await client.list(POD, { namespace: NAMESPACE, labelSelector })
  return items.filter(
    ({ metadata, status }) =>
      metadata?.deletionTimestamp === undefined &&
      status?.conditions?.some(({ type, status: holds }) => type === 'Ready' && holds === 'True'),
  )
}

async function stablePods() {
  return readyPods((await watcher.status()).stable?.revision)
}

/** Users of the Service, from now on. */
async function startUsers(): Promise<void> {
  const { host, port } = await address()
  traffic = startTraffic({ host, port, rows: holdoutRows(), clients: 8, requestsPerSecond: 100 })
}

async function address() {
  const get = (path: string) => kubectl('get', `service/${NAME}`, `--output=jsonpath={.spec.${path}}`)
  return { host: await get('clusterIP'), port: Number(await get('ports[0].port')) }
}

/** Users' requests since the last call, once there are so many. */
async function usersSent(count: number) {
  const before = traffic?.total().sent ?? 0
  await eventually(`${count} more requests`, async () =>
    (traffic?.total().sent ?? 0) >= before + count ? true : undefined,
  )
}

const noRequestFailed = () => expect(traffic?.total()).toMatchObject({ failed: 0, failures: [] })

async function planOf(revision: string): Promise<PlanFile> {
  const text = await kubectl('get', `configmap/${NAME}-traffic`, '--output=jsonpath={.data}')
  const plans = JSON.parse(text) as Record<string, string>
  return JSON.parse(plans[planKey(revision)] ?? '') as PlanFile
}

async function runInPod(script: string) {
  const [pod] = await stablePods()
  return kubectl('exec', pod?.metadata?.name ?? '', '--container=server', '--', 'node', '-e', script)
}

/** Everything that can be listed, but for what Kubernetes itself puts there, and events, which fade. */
async function contentsOf(namespace: string): Promise<string[]> {
  const kinds = await cluster.kubectl(['api-resources', '--namespaced', '--verbs=list', '--output=name'])
  const wanted = kinds.split('\n').filter((kind) => !kind.startsWith('events'))
  const listed = await cluster.kubectl(['get', wanted.join(), `--namespace=${namespace}`, '--output=name'])
  return listed.split('\n').filter((name) => name !== '' && !OF_KUBERNETES.includes(name))
}

async function untilLeft(namespace: string, wanted: readonly string[]): Promise<void> {
  let contents: string[] = []
  const look = async () => {
    contents = await contentsOf(namespace)
    return contents.join() === wanted.join() ? true : undefined
  }
  await eventually(`the end of ${namespace}`, look).catch(() => expect(contents).toEqual(wanted))
}

chapter('the node is Ready', async () => {
  const node = JSON.parse(await kubectl('get', 'node/node', '--output=json'))
  expect(node.status.nodeInfo).toMatchObject({
    kubeletVersion: 'v1.37.2',
    containerRuntimeVersion: 'containerd://2.4.2',
  })
})

chapter('Helm installs the chart where only restricted pods are let in', async () => {
  await helm('install', 'penstock', await formerChart(CHART), ...VALUES, '--wait')
  const operators = await cluster.kubectl(['rollout', 'status', 'deployment/penstock', `--namespace=${SYSTEM}`])
  expect(operators).toContain('successfully rolled out')
})

chapter('helm test reaches the operator by its name', async () => {
  expect(await helm('test', 'penstock')).toContain('Succeeded')
})

chapter('a first version is Ready, and answers under its cluster address', async () => {
  await apply(modelDeployment('v1'))
  await kubectl('wait', '--for=condition=Ready', MDEP, `--timeout=${PATIENT_SECONDS}s`)
  await startUsers()
  await usersSent(200)
  noRequestFailed()
})

chapter('the server runs as nobody in particular, and can write nowhere but where it must', async () => {
  const script = `
    const { writeFileSync } = require('node:fs')
    const refused = ['/x', '/tmp/x', '/app/x', '/usr/local/bin/node', '/penstock/model/x', '/etc/penstock/traffic/x'].map((path) => {
      try { writeFileSync(path, ''); return 'written' } catch (error) { return error.code }
    })
    writeFileSync(require('node:os').tmpdir() + '/x', '')
    console.log(JSON.stringify({ refused, user: process.getuid() }))`
  expect(JSON.parse(await runInPod(script))).toEqual({ refused: Array(6).fill('EROFS'), user: 65_532 })
})

chapter('a canary gets its share as soon as every pod of stable has the plan', async () => {
  await apply(modelDeployment('v2'))
  const { rollout, ...seen } = await watcher.until(
    'every pod to have the plan',
    (status) => status.rollout?.phase === 'Shifting' && status.rollout.acknowledgedAt !== undefined,
    PATIENT_SECONDS,
  )
  const [stable = '', candidate = ''] = [seen.stable?.revision, seen.candidate?.revision]
  const tookMs = Date.parse(rollout?.acknowledgedAt ?? '') - Date.parse(rollout?.since ?? '')
  console.log(`the plan was in force ${tookMs} ms after it was made`)
  const plan = await planOf(stable)
  expect(plan).toMatchObject({ weightPermille: 200, peer: { revision: candidate } })
  const pods = await stablePods()
  expect(pods).toHaveLength(2)
  for (const { status } of pods) {
    const evidence = await fetch(`http://${status?.podIP}:8080${EVIDENCE_PATH}`)
    expect((await evidence.json()) as Evidence).toMatchObject({ planId: plan.id, revision: stable })
  }
  traffic?.window()
  await usersSent(1000)
  const { sent, byRevision } = traffic!.window()
  const share = (byRevision.get(candidate)?.answered ?? 0) / sent
  expect(share).toBeGreaterThan(0.18)
  expect(share).toBeLessThan(0.22)
  noRequestFailed()
})

chapter('it is promoted once a person has approved, on evidence', async () => {
  const { candidate } = await watcher.until(
    'the step to wait for a person',
    ({ held }) => held?.by === 'Approval',
    PATIENT_SECONDS,
  )
  const revision = candidate?.revision
  const action = JSON.stringify({ id: '1', verb: 'approve', revision })
  await kubectl('annotate', '--overwrite', MDEP, `penstock.dev/action=${action}`)
  await watcher.until('v2 to be stable', ({ stable }) => stable?.revision === revision, PATIENT_SECONDS)
  await kubectl('wait', '--for=condition=Ready', MDEP, `--timeout=${PATIENT_SECONDS}s`)
  const { history } = await watcher.status()
  expect(history?.[0]).toMatchObject({ version: 'v2', outcome: 'Promoted', evidence: [{ verdict: 'Pass' }] })
  noRequestFailed()
})

chapter('a file that is no model gets no pod', async () => {
  await apply(modelDeployment('v3'))
  const status = await watcher.until(
    'v3 to be refused',
    (seen) => conditionOf(seen, 'Stalled')?.status === 'True',
    PATIENT_SECONDS,
  )
  expect(status.rejected?.[0]).toMatchObject({ version: 'v3', gate: 'Resolve' })
  expect(await readyPods(status.rejected?.[0]?.revision)).toEqual([])
})

chapter('a version that fails on some rows is rolled back', async () => {
  await apply(modelDeployment('v4'))
  const status = await watcher.until(
    'v4 to be rolled back',
    ({ history, rollout }) => history?.[0]?.version === 'v4' && rollout?.phase === 'Idle',
    PATIENT_SECONDS,
  )
  expect(status.history?.[0]).toMatchObject({ outcome: 'RolledBack', evidence: [{ verdict: 'Fail' }] })
  expect(status.stable?.version).toBe('v2')
  noRequestFailed()
})

chapter('with its former spec it is Ready again', async () => {
  await apply(modelDeployment('v2'))
  await kubectl('wait', '--for=condition=Ready', MDEP, `--timeout=${PATIENT_SECONDS}s`)
})

chapter('a pod of stable is deleted under load, and replaced', async () => {
  const [victim] = await stablePods()
  const name = victim?.metadata?.name ?? ''
  await kubectl('delete', 'pod', name)
  await eventually('another pod', async () => {
    const names = (await stablePods()).map(({ metadata }) => metadata?.name)
    return names.length === 2 && !names.includes(name) ? true : undefined
  })
  await usersSent(200)
  noRequestFailed()
})

for (const [what, kill] of [
  ['deleted by force', (pod: string) => kubectl('delete', 'pod', pod, '--grace-period=0', '--force')],
  ['killed by the kernel', killServerOf],
] as const)
  chapter(`a pod of stable that is ${what} costs users who ask again no answer`, async () => {
    sentBefore += (await traffic?.stop())?.sent ?? 0
    noRequestFailed()
    const { host, port } = await address()
    const url = `http://${host}:${port}/predict`
    const users = startPatientUsers({ url, rows: holdoutRows(), users: 8, pauseMs: 50 })
    const answered = async (count: number) => {
      const before = users.answered()
      await eventually(`${count} more answers`, async () => (users.answered() >= before + count ? true : undefined))
    }
    await answered(200)
    const restarts = (pods: Awaited<ReturnType<typeof stablePods>>) =>
      pods.map(({ metadata, status }) => `${metadata?.name} ${status?.containerStatuses?.[0]?.restartCount}`)
    const before = restarts(await stablePods())
    await kill((await stablePods())[0]?.metadata?.name ?? '')
    await eventually('two pods, one of them new or started again', async () => {
      const after = restarts(await stablePods())
      return after.length === 2 && after.some((each) => !before.includes(each)) ? true : undefined
    })
    await answered(200)
    const total = await users.stop()
    console.log(`${what}: ${total.answered} answers, for which ${total.repeats} connections were tried again`)
    expect(total.failures).toEqual([])
    await startUsers()
  })

chapter('a new operator restarts no model, and its chart brings the new definition', async () => {
  expect(await newFieldOf(cluster.kubectl)).toBe('')
  const before = (await stablePods()).map(({ metadata }) => metadata?.name).sort()
  await helm('upgrade', 'penstock', CHART, ...VALUES, '--set=logLevel=debug', '--wait')
  expect(await newFieldOf(cluster.kubectl)).toBe('integer')
  await usersSent(200)
  expect((await stablePods()).map(({ metadata }) => metadata?.name).sort()).toEqual(before)
  noRequestFailed()
})

for (const replicas of [3, 1])
  chapter(`kubectl scale makes ${replicas} of it`, async () => {
    await kubectl('scale', MDEP, `--replicas=${replicas}`)
    await eventually(`${replicas} pods`, async () => ((await stablePods()).length === replicas ? true : undefined))
    await kubectl('wait', '--for=condition=Ready', MDEP, `--timeout=${PATIENT_SECONDS}s`)
    await usersSent(200)
    noRequestFailed()
  })

chapter('nobody noticed anything', async () => {
  const total = await traffic?.stop()
  traffic = undefined
  const sent = sentBefore + (total?.sent ?? 0)
  console.log(`${sent} requests, ${total?.failed} failed`)
  expect(total).toMatchObject({ failed: 0, failures: [] })
  expect(sent).toBeGreaterThan(2000)
})

chapter('kubectl delete takes all of it away, and helm uninstall the operator; the definition stays', async () => {
  expect(await contentsOf(NAMESPACE)).toContain(`pod/${(await stablePods())[0]?.metadata?.name}`)
  await kubectl('delete', MDEP)
  await untilLeft(NAMESPACE, [])
  expect((await kubectl(...ROLES)).split('\n')).toHaveLength(5)
  await helm('uninstall', 'penstock', '--wait')
  await untilLeft(SYSTEM, [])
  expect(await kubectl(...ROLES)).toBe('')
  expect(await kubectl('get', DEFINITION, '--output=name')).toContain('modeldeployments.penstock.dev')
})
