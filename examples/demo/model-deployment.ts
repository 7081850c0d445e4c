import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { join } from 'node:path'
import type { ModelDeploymentSpec } from '../../operator/api/resource.ts'

export const NAME = 'biopsy'
export const NAMESPACE = 'default'
const MODELS = join(import.meta.dirname, '../biopsy/models')

/** The policy that all four versions are rolled out under. Holds are seconds where production has minutes; nothing else is special. */
export const POLICY = {
  steps: [
    { weight: 10, hold: '7s' },
    { weight: 50, hold: '5s' },
    { weight: 100, hold: '3s' },
  ],
  gates: [
    { name: 'errors', errorRate: { maxIncrease: 0.05 } },
    { name: 'latency', latency: { quantile: 0.9, maxRatio: 3, ignoreBelowMs: 50 } },
  ],
  minSamples: 100,
  progressDeadline: '60s',
  scaleDownDelay: '30s',
} satisfies ModelDeploymentSpec['rollout']

export type Version = 'v1' | 'v2' | 'v3' | 'v4'
export type Policy = NonNullable<ModelDeploymentSpec['rollout']>

/** Digest of a version's file, as `sha256sum` says it. */
export function digestOf(version: Version): string {
  return createHash('sha256')
    .update(readFileSync(join(MODELS, `${version}.onnx`)))
    .digest('hex')
}

/** The resource with one of the models of `examples/biopsy`. */
export function modelDeployment(version: Version, rollout: Policy = POLICY) {
  const spec: ModelDeploymentSpec = {
    model: { uri: pathToFileURL(join(MODELS, `${version}.onnx`)).href, version },
    scaling: { replicas: 2 },
    service: { port: 8000 },
    rollout,
  }
  return {
    apiVersion: 'penstock.dev/v1alpha1',
    kind: 'ModelDeployment',
    metadata: { name: NAME, namespace: NAMESPACE },
    spec,
  }
}
