import { dump } from 'js-yaml'
import { CHART, manifestsIn, runHelm, type Manifest } from './helm.ts'

const NAMESPACE = 'penstock-system'
const HEAD = `# Penstock, installed with \`kubectl apply --server-side -f config/install.yaml\`.
# Generated from charts/penstock by \`npm run generate:manifests\`; change it with kustomize, or use the chart.
`

/** The chart with its default values as plain objects, in a namespace of its own, without what only Helm reads; what Helm keeps, Flux does not prune. */
export function installManifest(helm: string): string {
  const { ok, stdout, stderr } = runHelm(helm, [
    'template',
    'penstock',
    CHART,
    `--namespace=${NAMESPACE}`,
    '--skip-tests',
  ])
  if (!ok) throw new Error(`helm template failed: ${stderr}`)
  const namespace = {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: NAMESPACE, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
  }
  const documents = [namespace, ...manifestsIn(stdout).map(withoutHelm)]
  return HEAD + documents.map((each) => `---\n${dump(each, { lineWidth: 140, noRefs: true })}`).join('')
}

function withoutHelm(object: Manifest): object {
  return JSON.parse(JSON.stringify(object), (key, value: unknown) => {
    if (key !== 'labels' && key !== 'annotations') return value
    const given = value as Record<string, unknown>
    const ours = Object.entries(given).filter(
      ([name]) => !name.startsWith('helm.sh/') && name !== 'app.kubernetes.io/managed-by',
    )
    if (given['helm.sh/resource-policy'] === 'keep') ours.push(['kustomize.toolkit.fluxcd.io/prune', 'disabled'])
    return ours.length === 0 ? undefined : Object.fromEntries(ours)
  }) as object
}
