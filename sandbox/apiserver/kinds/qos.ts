import { objectAt, objectsAt, valueAt, type KubeObject } from '../json.ts'

const COUNTED = ['cpu', 'memory']

/** Guaranteed when every container limits cpu and memory and requests the same; BestEffort when none asks for anything. */
export function qosClassOf(pod: KubeObject): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const containers = [...objectsAt(pod, 'spec', 'containers'), ...objectsAt(pod, 'spec', 'initContainers')]
  const asksNothing = containers.every((container) =>
    ['requests', 'limits'].every((side) =>
      COUNTED.every((name) => objectAt(container, 'resources', side)?.[name] === undefined),
    ),
  )
  if (asksNothing) return 'BestEffort'
  const guaranteed = containers.every((container) =>
    COUNTED.every((name) => {
      const limit = valueAt(container, 'resources', 'limits', name)
      return limit !== undefined && valueAt(container, 'resources', 'requests', name) === limit
    }),
  )
  return guaranteed ? 'Guaranteed' : 'Burstable'
}
