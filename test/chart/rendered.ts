import { CHART, manifestsIn, runHelm, type Manifest } from './helm.ts'

const helm = process.env.HELM_BIN ?? 'helm'

/** What Helm says after the installation. */
export function notesWith(...values: string[]): string {
  const sets = values.flatMap((value) => ['--set', value])
  const { ok, stdout, stderr } = runHelm(helm, ['install', '--dry-run=client', 'pen', CHART, '--namespace=ml', ...sets])
  if (!ok) throw new Error(stderr)
  return stdout.slice(stdout.indexOf('NOTES:'))
}

/** What release `pen` in namespace `ml` is made of, with these values. */
export function rendered(...values: string[]): Manifest[] {
  return renderedAs({ release: 'pen' }, ...values)
}

export function renderedAs(
  { release, namespace = 'ml' }: { release: string; namespace?: string },
  ...values: string[]
) {
  const sets = values.flatMap((value) => ['--set', value])
  const outcome = runHelm(helm, ['template', release, CHART, `--namespace=${namespace}`, ...sets])
  if (!outcome.ok) throw new Error(outcome.stderr)
  return manifestsIn(outcome.stdout)
}

export const of = (objects: readonly Manifest[], kind: string, name = 'pen-penstock') =>
  objects.find((each) => each.kind === kind && each.metadata.name === name) as Manifest
