import type { Pod } from '../objects.ts'
import { allContainers } from './record.ts'

const COMPUTE = ['cpu', 'memory'] as const

/** Guaranteed: every container's limits equal its requests; BestEffort: none has any; else Burstable. */
export function qosClassOf(pod: Pod): 'Guaranteed' | 'Burstable' | 'BestEffort' {
  const pairs = allContainers(pod).flatMap(({ resources }) =>
    COMPUTE.map((name) => {
      const limit = resources?.limits?.[name]
      return { limit, request: resources?.requests?.[name] ?? limit }
    }),
  )
  if (pairs.every(({ limit, request }) => limit === undefined && request === undefined)) return 'BestEffort'
  const guaranteed = pairs.every(({ limit, request }) => limit !== undefined && limit === request)
  return guaranteed ? 'Guaranteed' : 'Burstable'
}
