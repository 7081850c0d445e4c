import type { GateSpecOfApi, ModelDeploymentSpec, StepSpec } from '../api/resource.ts'

/** Something in spec that the schema lets through and the operator cannot do. */
export interface SpecProblem {
  /** Path of the field, for example `spec.rollout.steps[0].shadow`. */
  readonly field: string
  /** What is wrong and what to do about it. */
  readonly message: string
}

const notYet = (field: string, instead: string): SpecProblem => ({
  field,
  message: `${field} is not supported by this release; ${instead}`,
})

/**
 * Every problem of a spec, in the order of its fields. None means that the operator does all that the spec says. Which schemes a URI
 * may have is the server image's to say, in the resolve Job.
 */
export function specProblems(spec: ModelDeploymentSpec): SpecProblem[] {
  return [
    ...routingProblems(spec),
    ...preTrafficProblems(spec),
    ...(spec.rollout?.steps ?? []).flatMap(stepProblems),
    ...comparisonProblems(spec),
    ...(spec.rollout?.gates ?? []).flatMap(gateProblems),
    ...unaskedGateProblems(spec),
    ...(spec.rollout?.onInsufficientData === 'Replay'
      ? [notYet('spec.rollout.onInsufficientData: Replay', 'use Hold, Proceed or Fail')]
      : []),
    ...(spec.monitoring === undefined ? [] : [notYet('spec.monitoring', 'remove it')]),
  ]
}

function routingProblems(spec: ModelDeploymentSpec): SpecProblem[] {
  const provider = spec.routing?.provider ?? 'Relay'
  const problems = provider === 'Relay' ? [] : [notYet(`spec.routing.provider: ${provider}`, 'use Relay')]
  if (spec.routing?.gateway !== undefined)
    problems.push(notYet('spec.routing.gateway', 'remove it and use provider Relay'))
  return problems
}

function preTrafficProblems(spec: ModelDeploymentSpec): SpecProblem[] {
  const { contract, golden } = spec.rollout?.preTraffic ?? {}
  const problems: SpecProblem[] = []
  if (contract !== undefined && contract !== 'Off')
    problems.push(notYet('spec.rollout.preTraffic.contract', 'remove it or set it to Off'))
  if (golden !== undefined) problems.push(notYet('spec.rollout.preTraffic.golden', 'remove it'))
  return problems
}

function stepProblems(step: StepSpec, index: number): SpecProblem[] {
  return step.shadow === undefined
    ? []
    : [notYet(`spec.rollout.steps[${index}].shadow`, 'use a step with a small weight')]
}

/** Gates ask about requests that the candidate answered, so a step must give it some. */
function unaskedGateProblems(spec: ModelDeploymentSpec): SpecProblem[] {
  const { steps = [], gates = [] } = spec.rollout ?? {}
  const isAsked = steps.some((step) => (step.weight ?? 0) > 0 || step.shadow !== undefined)
  const [first] = gates
  if (first === undefined || isAsked) return []
  const field = 'spec.rollout.gates'
  const message = `${field}: gate "${first.name}" would never be asked, as no step gives the candidate any requests; add a step with a weight above 0 to spec.rollout.steps, or remove the gates`
  return [{ field, message }]
}

/** A step of 100 % leaves stable no requests; its latencies are those of the step before, so there must be one. */
function comparisonProblems(spec: ModelDeploymentSpec): SpecProblem[] {
  const { steps = [], gates = [] } = spec.rollout ?? {}
  const first = steps.findIndex((step) => (step.weight ?? 0) > 0)
  const gate = gates.find((each) => each.latency !== undefined)
  if (gate === undefined || steps[first]?.weight !== 100) return []
  const field = `spec.rollout.steps[${first}].weight`
  const message = `${field}: 100 leaves stable no requests that gate "${gate.name}" could compare latencies with; put a step with a smaller weight before it`
  return [{ field, message }]
}

function gateProblems(gate: GateSpecOfApi, index: number): SpecProblem[] {
  return (['agreement', 'predictionDrift', 'prometheus'] as const)
    .filter((kind) => gate[kind] !== undefined)
    .map((kind) => notYet(`spec.rollout.gates[${index}].${kind} (gate "${gate.name}")`, 'use errorRate or latency'))
}
