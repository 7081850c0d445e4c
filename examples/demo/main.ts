/**
 * `npm run demo`: four versions of a real model on the embedded Kubernetes, under live traffic. Exits 0 only if every claim that it
 * prints was checked and held.
 */
import { join } from 'node:path'
import { styleText } from 'node:util'
import { startSandbox, type Sandbox } from '../../sandbox/sandbox.ts'
import { startOperatorProcess, type OperatorProcess } from '../../sandbox/operator-process.ts'
import type { ModelDeployment } from '../../operator/api/resource.ts'
import { createClient } from '../../operator/kube/client.ts'
import { loadKubeConfig } from '../../operator/kube/kubeconfig.ts'
import { createTransport } from '../../operator/kube/transport.ts'
import { MODEL_DEPLOYMENT } from '../../operator/caches.ts'
import { createClaims, heading, note } from './claims.ts'
import { NAME, NAMESPACE, modelDeployment, type Policy, type Version } from './model-deployment.ts'
import { startPodLog } from './pods.ts'
import { holdoutRows } from './rows.ts'
import { brokenFile, failingVersion, finish, firstVersion, goodVersion, type Stage } from './story.ts'
import { startTraffic } from './traffic.ts'
import { createWatcher } from './watcher.ts'

const REPO = join(import.meta.dirname, '../..')
const REQUESTS_PER_SECOND = 300
const CLIENTS = 12

async function play(sandbox: Sandbox): Promise<number> {
  const claims = createClaims()
  const transport = createTransport(loadKubeConfig({ path: sandbox.kubeconfigPath }))
  const client = createClient(transport)
  const watcher = createWatcher(() => client.get(MODEL_DEPLOYMENT, { namespace: NAMESPACE, name: NAME }))
  const apply = async (version: Version, policy?: Policy) => {
    const resource = modelDeployment(version, policy) as unknown as ModelDeployment
    const { metadata } = await client.apply(MODEL_DEPLOYMENT, resource, { fieldManager: 'demo', force: true })
    note(`applied ModelDeployment ${NAME} with examples/biopsy/models/${version}.onnx`)
    return metadata.generation
  }
  const pods = await startPodLog(client, NAMESPACE)
  const stage: Stage = { claims, watcher, pods, apply }
  try {
    await firstVersion(stage)
    const { host, port } = await sandbox.serviceAddress(NAMESPACE, NAME)
    const traffic = startTraffic({
      host,
      port,
      rows: holdoutRows(),
      clients: CLIENTS,
      requestsPerSecond: REQUESTS_PER_SECOND,
    })
    note(
      `from here on ${CLIENTS} clients send ${REQUESTS_PER_SECOND} holdout rows a second to http://${host}:${port}/predict`,
    )
    try {
      await goodVersion(stage, traffic)
      await brokenFile(stage)
      await failingVersion(stage, traffic)
    } finally {
      const total = await traffic.stop()
      finish(stage, await watcher.status(), total)
    }
  } finally {
    await pods.stop()
    transport.close()
  }
  heading(
    claims.broken === 0
      ? styleText('green', `All ${claims.checked} claims held.`)
      : styleText('red', `${claims.broken} of ${claims.checked} claims did not hold.`),
  )
  return claims.broken === 0 ? 0 : 1
}

async function main(): Promise<number> {
  const startedAt = performance.now()
  const seconds = () => ((performance.now() - startedAt) / 1000).toFixed(1)
  heading('Penstock on an embedded Kubernetes (for trying and testing; not a cluster)')
  const sandbox = await startSandbox({ crds: [join(REPO, 'crds/modeldeployments.yaml')] })
  note(`API server, controllers and kubelet are ready after ${seconds()} s`)
  let operator: OperatorProcess | undefined
  try {
    operator = await startOperatorProcess({
      kubeconfigPath: sandbox.kubeconfigPath,
      logPath: join(sandbox.dir, 'operator.log'),
    })
    note(`the operator is ready after ${seconds()} s`)
    return await play(sandbox)
  } catch (error) {
    console.error(styleText('red', `\nThe demo stopped: ${(error as Error).message}`))
    if (operator !== undefined) console.error(await operator.lastLines(20))
    return 1
  } finally {
    await operator?.stop()
    await sandbox.close()
    note(`everything is stopped and removed after ${seconds()} s`)
  }
}

process.exitCode = await main()
