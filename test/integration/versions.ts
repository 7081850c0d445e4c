/** ModelDeployments of the example's versions, as tests of rollouts want them. */
import type { ModelDeploymentSpec } from '../../operator/api/resource.ts'
import type { KubeObject, Resource } from '../../operator/kube/resource.ts'
import { exampleModel, isReady, NAMESPACE, type Place } from './place.ts'

/** Rolled out in two quick steps and judged by its errors. */
export const spec = (
  version: 'v1' | 'v2' | 'v3' | 'v4',
  overrides: Partial<ModelDeploymentSpec> = {},
): ModelDeploymentSpec => ({
  model: { uri: exampleModel(version), version },
  scaling: { replicas: 1 },
  service: { port: 8000 },
  rollout: {
    steps: [
      { weight: 20, hold: '2s' },
      { weight: 100, hold: '1s' },
    ],
    gates: [{ name: 'errors', errorRate: { maxIncrease: 0.08 } }],
    minSamples: 50,
    progressDeadline: '60s',
    scaleDownDelay: '30s',
  },
  ...overrides,
})

/** Rolled out in one quick step that nothing judges. */
export const ungated = (version: 'v1' | 'v2', overrides: Partial<ModelDeploymentSpec> = {}): ModelDeploymentSpec =>
  spec(version, { rollout: { steps: [{ weight: 50, hold: '1s' }] }, ...overrides })

/** Stays at its first step until something else is asked for. */
export const slow = (version: 'v1' | 'v2' | 'v3' | 'v4') => {
  const base = spec(version)
  return { ...base, rollout: { ...base.rollout, steps: [{ weight: 20, hold: '1h' }] } }
}

/** Applies it and waits until its first version serves. */
export async function serving(place: Place, name: string, wanted: ModelDeploymentSpec = spec('v1')) {
  await place.apply(name, wanted)
  return place.until(name, 'to serve its first version', isReady)
}

/** All objects of a kind that belong to it. */
export async function owned<T extends KubeObject>(
  place: Place,
  resource: Resource<T>,
  name: string,
): Promise<readonly T[]> {
  const { items } = await place.client.list(resource, {
    namespace: NAMESPACE,
    labelSelector: `penstock.dev/modeldeployment=${name}`,
  })
  return items
}
