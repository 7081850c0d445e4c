import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { spawnSync } from 'node:child_process'
import { ServerMetrics } from '../../server-image/metrics/server-metrics.ts'
import { CHART, manifestsIn, runHelm, type Manifest } from './helm.ts'
import { notesWith, of, rendered } from './rendered.ts'
import { installManifest } from './install-manifest.ts'

const helm = process.env.HELM_BIN ?? 'helm'
const kubectl = process.env.KUBECTL ?? 'kubectl'
const ROOT = join(import.meta.dirname, '../..')
const config = join(ROOT, 'config')
const isLabel = (name: string) => name.startsWith('penstock_dev_')

const titles = (objects: readonly Manifest[]) => objects.map((each) => `${each.kind} ${each.metadata.name}`).sort()

const ALWAYS = [
  'Deployment pen-penstock',
  'Lease penstock-operator',
  'Pod pen-penstock-test',
  'Role pen-penstock',
  'RoleBinding pen-penstock',
  'Service pen-penstock-metrics',
  'ServiceAccount pen-penstock',
]
const USERS = ['admin', 'edit', 'view'].map((role) => `ClusterRole ml:pen-penstock:modeldeployments-${role}`)
const BUDGET = 'PodDisruptionBudget pen-penstock'
const DEFINITION = 'CustomResourceDefinition modeldeployments.penstock.dev'
const CLUSTER = ['ClusterRole ml:pen-penstock', 'ClusterRoleBinding ml:pen-penstock']

test('helm lint finds nothing to say', () => {
  const { ok, stdout, stderr } = runHelm(helm, ['lint', '--strict', CHART])
  expect([ok, stdout, stderr]).toEqual([true, expect.stringContaining('0 chart(s) failed'), ''])
  expect(stdout).not.toMatch(/WARNING|ERROR/)
})

describe('the chart renders', () => {
  test.each<[string, string[], string[]]>([
    ['all that a cluster-wide operator needs', [], [...ALWAYS, ...USERS, ...CLUSTER, BUDGET, DEFINITION]],
    [
      'nothing cluster-wide for one namespace',
      ['scope.mode=Namespace', 'crds.install=false', 'rbac.aggregate=false'],
      [...ALWAYS, BUDGET],
    ],
    ['no budget for a single operator', ['replicas=1'], [...ALWAYS, ...USERS, ...CLUSTER, DEFINITION]],
    [
      'no roles where somebody else gives them',
      ['rbac.create=false', 'rbac.aggregate=false', 'serviceAccount.create=false'],
      [
        'Deployment pen-penstock',
        'Lease penstock-operator',
        'Pod pen-penstock-test',
        'Service pen-penstock-metrics',
        BUDGET,
        DEFINITION,
      ],
    ],
    [
      'no Lease for Argo CD, which manages none',
      ['lease.create=false'],
      [...ALWAYS.filter((title) => !title.startsWith('Lease')), ...USERS, ...CLUSTER, BUDGET, DEFINITION],
    ],
    [
      'monitors, alerts, a dashboard and a network policy on request',
      [
        'metrics.serviceMonitor.enabled=true',
        'metrics.podMonitor.enabled=true',
        'metrics.prometheusRule.enabled=true',
        'dashboard.enabled=true',
        'networkPolicy.enabled=true',
      ],
      [
        ...ALWAYS,
        ...USERS,
        ...CLUSTER,
        BUDGET,
        DEFINITION,
        'ConfigMap pen-penstock-dashboard',
        'NetworkPolicy pen-penstock',
        'PodMonitor pen-penstock-models',
        'PrometheusRule pen-penstock',
        'ServiceMonitor pen-penstock',
      ],
    ],
  ])('%s', (_title, values, wanted) => {
    expect(titles(rendered(...values))).toEqual([...wanted].sort())
  })

  test('the same rules for one namespace as for all, but bound to that namespace', () => {
    const everywhere = of(rendered(), 'ClusterRole', 'ml:pen-penstock').rules ?? []
    const objects = rendered('scope.mode=Namespace')
    const lease = of(rendered(), 'Role').rules ?? []
    expect(of(objects, 'Role').rules).toEqual([...lease, ...everywhere])
    expect(JSON.stringify(of(objects, 'Deployment').spec)).toContain('--namespace=$(POD_NAMESPACE)')
  })

  test('a CustomResourceDefinition that upgrades with the chart and outlives it', () => {
    const definition = of(rendered(), 'CustomResourceDefinition', 'modeldeployments.penstock.dev')
    expect(definition.metadata.annotations).toEqual({ 'helm.sh/resource-policy': 'keep' })
    const mortal = of(rendered('crds.keep=false'), 'CustomResourceDefinition', 'modeldeployments.penstock.dev')
    expect(mortal.metadata.annotations).toBeUndefined()
  })

  test('images by digest, where one is given', () => {
    const digest = `sha256:${'ab'.repeat(32)}`
    const spec = JSON.stringify(of(rendered(`image.digest=${digest}`, 'server.image.tag=v9'), 'Deployment').spec)
    expect(spec).toContain(`"penstock/operator@${digest}"`)
    expect(spec).toContain('"value":"penstock/server:v9"')
  })

  test('a dashboard that is JSON', () => {
    const text = of(rendered('dashboard.enabled=true'), 'ConfigMap', 'pen-penstock-dashboard').data?.['penstock.json']
    expect(JSON.parse(text ?? '')).toMatchObject({ uid: 'penstock-models' })
  })
})

describe('the notes', () => {
  test('say for which namespaces the release works, and how to ask there', () => {
    expect(notesWith()).toMatch(/ModelDeployments of all namespaces[^]*kubectl get mdep/)
    expect(notesWith('scope.mode=Namespace')).toMatch(/ModelDeployments in ml only[^]*kubectl -n ml get mdep/)
  })

  test('warn of a second operator for the same namespace, and of a definition that Helm deletes', () => {
    expect(notesWith()).toContain('two operators undo each other')
    expect(notesWith()).toMatch(/^kubectl apply -f - <<EOF\n[^]*^EOF$/m)
    expect(notesWith()).not.toContain('Careful')
    expect(notesWith('crds.keep=false')).toContain('upgrading it with crds.install=false')
  })
})

test('alerts and dashboard ask for metrics that exist', () => {
  const asked = ['templates/prometheusrule.yaml', 'files/dashboard.json'].flatMap((file) => [
    ...readFileSync(join(CHART, file), 'utf8').matchAll(/\b(?:ml|penstock)_[a-z_]+(?=[{[) ])/g),
  ])
  const names = new Set(asked.map(([name]) => name.replace(/_bucket$/, '')).filter((name) => !isLabel(name)))
  expect(names.size).toBeGreaterThan(8)
  const sources = ['operator/ops', 'server-image/metrics', 'server-image/monitor']
    .flatMap((folder) => globSync(`${folder}/*.ts`, { cwd: ROOT }))
    .map((file) => readFileSync(join(ROOT, file), 'utf8'))
    .join('\n')
  for (const name of names) expect(sources).toContain(`'${name}'`)
})

test('latency that is alerted about is less than what the last bucket can tell', async () => {
  const nothing = { revision: '', version: '', sha256: () => '', planId: () => 0, queuedRows: () => 0 }
  const scraped = await new ServerMetrics(nothing).registry.metrics()
  const bounds = [...scraped.matchAll(/^ml_prediction_latency_seconds_bucket\{le="([\d.]+)"/gm)].map(([, le]) =>
    Number(le),
  )
  const last = Math.max(...bounds)
  const refused = runHelm(helm, ['template', 'pen', CHART, '--set', `metrics.prometheusRule.latencySeconds=${last}`])
  expect([refused.ok, refused.stderr]).toEqual([
    false,
    expect.stringContaining('metrics/prometheusRule/latencySeconds'),
  ])
  expect(rendered(`metrics.prometheusRule.latencySeconds=${last - 1}`)).not.toHaveLength(0)
  expect(bounds).toEqual(expect.arrayContaining([0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1]))
})

test.each([
  ['scope.mode=Galaxy', 'scope/mode'],
  ['replicas=many', 'replicas'],
  ['concurrency=0', 'concurrency'],
  ['logLevel=loud', 'logLevel'],
  ['image.digest=abc', 'image/digest'],
  ['networkPolicy.apiServerCIDRs={192.0.2.1}', 'networkPolicy/apiServerCIDRs'],
  ['networkPolicy.apiServerCIDRs={999.0.2.1/32}', 'networkPolicy/apiServerCIDRs'],
  ['networkPolicy.apiServerCIDRs={2001:db8::/129}', 'networkPolicy/apiServerCIDRs'],
  ['metrics.podMonitor.interval=often', 'metrics/podMonitor/interval'],
  ['replica=3', 'replica'],
  ['lease=null', 'lease'],
  ['networkPolicy.dns=null', 'dns'],
])('%s is refused with the name of the value', (value, field) => {
  const { ok, stderr } = runHelm(helm, ['template', 'pen', CHART, '--set', value])
  expect(ok).toBe(false)
  expect(stderr).toContain(field)
})

test('config/install.yaml is what the chart renders', () => {
  expect(readFileSync(join(config, 'install.yaml'), 'utf8')).toBe(installManifest(helm))
})

test('config/ is a kustomize base of the same objects', () => {
  const { stdout, stderr } = spawnSync(kubectl, ['kustomize', config], { encoding: 'utf8' })
  expect(stderr).toBe('')
  expect(titles(manifestsIn(stdout))).toEqual(titles(manifestsIn(readFileSync(join(config, 'install.yaml'), 'utf8'))))
})

test('the example of an overlay puts both images in place', () => {
  const { stdout, stderr } = spawnSync(kubectl, ['kustomize', join(ROOT, 'examples/kustomize')], { encoding: 'utf8' })
  expect(stderr).toBe('')
  const operator = JSON.stringify(of(manifestsIn(stdout), 'Deployment', 'penstock').spec)
  for (const image of ['operator', 'server'])
    expect(operator).toContain(`"registry.example.com/penstock/${image}:0.1.0"`)
  expect(operator).not.toContain('"penstock/')
})
