import { resolveJobName } from '../children/resolve-job.ts'
import type { ApplyProblem, Observation } from '../observation.ts'
import type { RevisionName } from '../revision.ts'

/** Why the pods of a revision cannot be, as the API server says it; undefined when it did not refuse what makes them. */
export function refusal(seen: Observation, revision: RevisionName): string | undefined {
  const problem = problemOf(seen, revision)
  return problem && `${problem.object}: ${problem.message}`
}

/** The same, when it will never take them as they are: only another spec.server.podTemplate, or another default of ours, would help. */
export function invalidTemplate(seen: Observation, revision: RevisionName): string | undefined {
  return problemOf(seen, revision)?.kind === 'Invalid' ? refusal(seen, revision) : undefined
}

function problemOf(seen: Observation, revision: RevisionName): ApplyProblem | undefined {
  const makers = [`Job ${resolveJobName(revision)}`, `ControllerRevision ${revision}`, `Deployment ${revision}`]
  return seen.applyProblems.find(({ object }) => makers.includes(object))
}
