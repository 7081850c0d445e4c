import { Command, InvalidArgumentError } from 'commander'
import { pino } from 'pino'
import { loadKubeConfig } from './kube/kubeconfig.ts'
import { startOperator } from './operator.ts'

interface Flags {
  readonly kubeconfig?: string
  readonly context?: string
  readonly namespace?: string
  readonly leaseNamespace?: string
  readonly serverImage: string
  readonly healthAddress: { host: string; port: number }
  readonly concurrency: number
  readonly logLevel: string
}

const EXAMPLES = `
Examples:
  In a cluster, with the pod's own service account:
    penstock-operator --server-image=registry.example.com/penstock/server:0.1.0
  On a workstation, for one namespace only:
    penstock-operator --kubeconfig=$HOME/.kube/config --namespace=ml --server-image=penstock/server:dev`

const program = new Command('penstock-operator')
  .description('Reconciles ModelDeployments: resolves models, rolls out new versions on evidence, and says why.')
  .option('--kubeconfig <file>', 'kubeconfig file; default: KUBECONFIG, then the service account, then ~/.kube/config')
  .option('--context <name>', 'context of the kubeconfig')
  .option('--namespace <name>', 'watch only this namespace; default: all')
  .option('--lease-namespace <name>', 'namespace of the leader lease; default: POD_NAMESPACE, --namespace, or default')
  .requiredOption(
    '--server-image <image>',
    'server image for ModelDeployments that name none; PENSTOCK_SERVER_IMAGE sets the default',
    process.env.PENSTOCK_SERVER_IMAGE,
  )
  .option('--health-address <host:port>', 'where /livez, /readyz and /metrics are served', parseAddress, {
    host: '0.0.0.0',
    port: 8081,
  })
  .option('--concurrency <n>', 'ModelDeployments reconciled at the same time', parseCount, 8)
  .option('--log-level <level>', 'debug, info, warn or error', 'info')
  .addHelpText('after', EXAMPLES)
  .parse()

const flags = program.opts<Flags>()
const log = pino({ level: flags.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime })

function parseAddress(text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(':')
  const port = Number(text.slice(colon + 1))
  if (colon < 0 || !Number.isInteger(port) || port < 0 || port > 65535)
    throw new InvalidArgumentError('write host:port, for example 0.0.0.0:8081')
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, '') || '0.0.0.0', port }
}

function parseCount(text: string): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 1 || count > 64)
    throw new InvalidArgumentError('write a whole number from 1 to 64')
  return count
}

async function run(): Promise<void> {
  const { kubeconfig, context, namespace, leaseNamespace } = flags
  const operator = await startOperator({
    kubeConfig: loadKubeConfig({
      ...(kubeconfig !== undefined && { path: kubeconfig }),
      ...(context !== undefined && { context }),
    }),
    serverImage: flags.serverImage,
    ...(namespace !== undefined && { namespace }),
    leaseNamespace: leaseNamespace ?? process.env.POD_NAMESPACE ?? namespace ?? 'default',
    health: flags.healthAddress,
    concurrency: flags.concurrency,
    log,
    onLost: (reason) => {
      log.fatal({ reason }, 'the lease was lost: stopping, to start anew as a follower')
      process.exit(1)
    },
  })
  log.info({ healthPort: operator.healthPort, node: process.version }, 'operator is working')
  const stop = (signal: string) => {
    log.info({ signal }, 'stopping')
    void operator.stop().then(() => process.exit(0))
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
}

run().catch((error: unknown) => {
  log.fatal({ reason: error instanceof Error ? error.message : String(error) }, 'the operator could not start')
  process.exitCode = 1
})
