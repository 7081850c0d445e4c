/** Which Kubernetes the integration tests run on: the sandbox, or with `npm run test:kube` a real control plane. */
import { join } from 'node:path'
import { SERVER_IMAGE } from '../../sandbox/programs.ts'
import type { Sandbox, SandboxOptions } from '../../sandbox/sandbox.ts'
import { bundledServer } from '../bundled-server.ts'

const CRDS = [join(import.meta.dirname, '../../crds/modeldeployments.yaml')]

export type TestClusterOptions = Pick<SandboxOptions, 'faults' | 'configMapSyncSeconds' | 'onRequest'> & {
  readonly dir: string
  /** The operator has rights in this namespace only, and is installed there. */
  readonly scope?: string
}

export interface TestCluster extends Pick<Sandbox, 'kubeconfigPath' | 'serviceAddress' | 'close'> {
  /** With the operator's own rights, where those are checked. */
  readonly operatorKubeconfigPath: string
  /** Where the operator is installed, and has its lease. */
  readonly operatorNamespace: string
}

export async function startTestCluster(options: TestClusterOptions): Promise<TestCluster> {
  if ('penstockTestCluster' in globalThis) {
    const { startKubeCluster } = await import('../kube/cluster.ts')
    return startKubeCluster({ ...options, slot: Number(process.env.JEST_WORKER_ID ?? 1) - 1 })
  }
  const { startSandbox } = await import('../../sandbox/sandbox.ts')
  const sandbox = await startSandbox({ ...options, crds: CRDS, images: { [SERVER_IMAGE]: bundledServer() } })
  const operatorNamespace = options.scope ?? 'default'
  return { ...sandbox, operatorKubeconfigPath: sandbox.kubeconfigPath, operatorNamespace }
}
