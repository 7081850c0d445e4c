/**
 * `npm run sandbox`: an embedded Kubernetes API with the operator in it, until Ctrl-C.
 *
 * It starts both, prints how to reach them and then what happens to Services. It keeps nothing; all decisions are made elsewhere.
 */
import { globSync } from 'node:fs'
import { join, relative } from 'node:path'
import { styleText } from 'node:util'
import { Command, InvalidArgumentError, Option } from 'commander'
import { startOperatorProcess, type OperatorProcess } from './operator-process.ts'
import { startSandbox, type Sandbox } from './sandbox.ts'
import { announceServices } from './service-announcements.ts'

const REPO = join(import.meta.dirname, '..')

interface Flags {
  readonly dir?: string
  readonly operator: boolean
  readonly crd: readonly string[]
  readonly configMapSyncSeconds?: number
  readonly crashBackoffSeconds?: number
}

function command(): Command {
  return new Command('sandbox')
    .description(
      'Start an embedded Kubernetes API with the Penstock operator: a place for trying, rehearsing and testing. It is not a cluster: one ' +
        'process stands for the control plane, pods are local processes under your user, and everything is gone when it ends.',
    )
    .option(
      '--dir <path>',
      'keep the kubeconfig, pod directories and logs here, and leave them when it ends (default: a temporary directory)',
    )
    .option('--no-operator', 'do not start the operator: for running your own with the printed kubeconfig')
    .option('--crd <file...>', 'custom resource definitions to load beside the ones of Penstock', [])
    .addOption(
      new Option('--config-map-sync-seconds <n>', 'how long a changed ConfigMap may take to reach a pod').argParser(
        seconds,
      ),
    )
    .addOption(
      new Option('--crash-backoff-seconds <n>', 'wait before a container that crashed is started again').argParser(
        seconds,
      ),
    )
    .addHelpText(
      'after',
      `
Examples:
  $ npm run sandbox
  $ npm run sandbox -- --dir .sandbox            # look into pod directories and logs afterwards
  $ npm run sandbox -- --no-operator             # then: node operator/main.ts --kubeconfig=... --server-image=penstock/server:dev
  $ npm run sandbox -- --crd gateway.yaml        # with the Gateway API's kinds

In a second terminal, with the KUBECONFIG that it prints:
  $ kubectl get mdep -w
  $ kubectl get pods,services`,
    )
}

function seconds(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError('give a number of seconds, for example 2 or 0.5')
  return value
}

async function main(): Promise<void> {
  const flags = command().parse().opts<Flags>()
  const { dir, crd, configMapSyncSeconds, crashBackoffSeconds } = flags
  const stopped = untilStopped()
  const startedAt = performance.now()
  const sandbox = await startSandbox({
    crds: [...globSync(join(REPO, 'crds/*.yaml')), ...crd],
    ...(dir === undefined ? {} : { dir }),
    ...(configMapSyncSeconds === undefined ? {} : { configMapSyncSeconds }),
    ...(crashBackoffSeconds === undefined ? {} : { crashBackoffSeconds }),
  })
  say(`The API server, controllers and kubelet are ready after ${elapsed(startedAt)} s at ${sandbox.url}`)
  let operator: OperatorProcess | undefined
  try {
    if (flags.operator) operator = await startOperator(sandbox, startedAt)
    explain(sandbox)
    const stopAnnouncing = await announceServices(sandbox.kubeconfigPath, say)
    await stopped
    say('Stopping ...')
    await stopAnnouncing()
  } finally {
    await operator?.stop()
    await sandbox.close()
  }
}

async function startOperator(sandbox: Sandbox, startedAt: number): Promise<OperatorProcess> {
  const logPath = join(sandbox.dir, 'operator.log')
  const operator = await startOperatorProcess({ kubeconfigPath: sandbox.kubeconfigPath, logPath })
  say(`The operator is ready after ${elapsed(startedAt)} s; its log: ${logPath}`)
  return operator
}

function elapsed(startedAt: number): string {
  return ((performance.now() - startedAt) / 1000).toFixed(1)
}

function explain(sandbox: Sandbox): void {
  const example = relative(process.cwd(), join(REPO, 'examples/biopsy'))
  console.log(`
${styleText('bold', 'An embedded Kubernetes API for trying, rehearsing and testing. It is not a cluster, and forgets everything when it ends.')}

In another terminal:
  export KUBECONFIG=${sandbox.kubeconfigPath}
  sed "s|MODELS|$PWD/${example}/models|; s|VERSION|v1|" ${example}/modeldeployment.yaml | kubectl apply -f -
  kubectl get mdep -w                # then the same with v2 in place of v1, v3 and v4

Services appear below with their addresses. Ctrl-C ends it all.
`)
}

function say(line: string): void {
  console.log(`${styleText('dim', new Date().toTimeString().slice(0, 8))}  ${line}`)
}

/** Resolves at the first Ctrl-C or SIGTERM; a second one ends the process at once. */
function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
}

await main()
