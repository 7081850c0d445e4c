/** The operator's figures on the sandbox: time to ready, writes while nothing happens, and how exact a split is. */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { printTable, heading, note } from '../examples/demo/claims.ts'
import type { ModelDeploymentSpec } from '../operator/api/resource.ts'
import { startSandbox } from '../sandbox/sandbox.ts'
import makeBundledServer from '../test/bundled-server.ts'
import { createPlace, exampleModel, isReady, type Place } from '../test/integration/place.ts'

const IDLE_MODEL_DEPLOYMENTS = 20
const IDLE_MS = 60_000
const SPLIT_REQUESTS = 10_000
const SANDBOX_ROUNDS = 5

const spec = (
  version: 'v1' | 'v2',
  steps: NonNullable<ModelDeploymentSpec['rollout']>['steps'] = [],
): ModelDeploymentSpec => ({
  model: { uri: exampleModel(version), version },
  scaling: { replicas: 1 },
  service: { port: 8000 },
  rollout: { steps: steps ?? [], scaleDownDelay: '30s' },
})

async function measureStart(): Promise<number[]> {
  const milliseconds: number[] = []
  for (let round = 0; round < SANDBOX_ROUNDS; round += 1) {
    const startedAt = performance.now()
    const sandbox = await startSandbox({ crds: [join(import.meta.dirname, '../crds/modeldeployments.yaml')] })
    milliseconds.push(performance.now() - startedAt)
    await sandbox.close()
  }
  return milliseconds.sort((a, b) => a - b)
}

/** Writes of everybody but leader election, whose lease is renewed by design, in a minute after everything has come to rest. */
async function measureIdleWrites(place: Place): Promise<{ writes: number; renewals: number }> {
  const names = Array.from({ length: IDLE_MODEL_DEPLOYMENTS }, (_, index) => `idle-${index}x`)
  for (const name of names) await place.apply(name, spec('v1'))
  for (const name of names) await place.until(name, 'to serve', isReady, 180)
  await delay(5000)
  const before = place.writes.length
  await delay(IDLE_MS)
  const during = place.writes.slice(before)
  for (const name of names) await place.remove(name)
  const renewals = during.filter((write) => write.resource.startsWith('leases')).length
  return { writes: during.length - renewals, renewals }
}

async function measureSplit(place: Place): Promise<{ answered: number; sent: number; failed: number }> {
  await place.apply('split', spec('v1'))
  await place.until('split', 'to serve', isReady)
  await place.apply('split', spec('v2', [{ weight: 10, hold: '1h' }]))
  const status = await place.until(
    'split',
    'the step to be taken up',
    (seen) => seen.rollout?.acknowledgedAt !== undefined,
  )
  const traffic = await place.traffic('split', 1000)
  while (traffic.total().sent < SPLIT_REQUESTS) await delay(20)
  const total = await traffic.stop()
  const answered = total.byRevision.get(status.candidate?.revision ?? '')?.answered ?? 0
  return { answered, sent: total.sent, failed: total.failed }
}

export async function benchOperator(): Promise<void> {
  heading('Sandbox')
  const starts = await measureStart()
  await makeBundledServer()
  const place = await createPlace()
  try {
    heading('Split')
    const split = await measureSplit(place)
    await place.remove('split')
    note(`waiting a minute with ${IDLE_MODEL_DEPLOYMENTS} idle ModelDeployments ...`)
    const idle = await measureIdleWrites(place)
    heading('Figures')
    printTable(
      ['figure', 'measured', 'goal'],
      [
        [
          'sandbox ready, median of 5',
          `${Math.round(starts[Math.floor(starts.length / 2)] ?? NaN)} ms`,
          '2000 ms at most',
        ],
        ['sandbox ready, slowest of 5', `${Math.round(starts.at(-1) ?? NaN)} ms`, ''],
        [
          `share at weight 10 %, ${split.sent} requests`,
          `${((100 * split.answered) / split.sent).toFixed(2)} %`,
          '9 to 11 %',
        ],
        ['failed requests meanwhile', String(split.failed), '0'],
        [`API writes in a minute, ${IDLE_MODEL_DEPLOYMENTS} idle ModelDeployments`, String(idle.writes), '0'],
        ['  renewals of the leader lease, beside these', String(idle.renewals), ''],
      ],
    )
  } finally {
    await place.close()
  }
}
