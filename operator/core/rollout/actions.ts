import { createHash } from 'node:crypto'
import { ACTION_ANNOTATION } from '../../api/resource.ts'
import { candidateOf, type ActiveRollout, type HandledAction, type State } from '../state.ts'
import { readyPods, workloadOf } from '../observation.ts'
import { revisionName, type RevisionName } from '../revision.ts'
import type { Situation } from './situation.ts'
import { withoutCertificate } from './certificates.ts'
import { remember, rollBack, toPromoting, toStep, waiving, withoutHold } from './transitions.ts'

const VERBS = ['promote', 'approve', 'abort', 'retry', 'pause', 'resume', 'undo'] as const
export type Verb = (typeof VERBS)[number]

/** What a person asked for through the annotation: done once, by its id, and only to the revision that it names. */
export interface Action {
  readonly id: string
  readonly verb: Verb
  readonly revision: RevisionName
}

const MAX_ANNOTATION_LENGTH = 1024
const MAX_ID_LENGTH = 128
/** So many ids are remembered, for an annotation that a tool sets back to an older value. */
const MAX_HANDLED = 16

type Parsed = { readonly action: Action } | { readonly id: string; readonly verb: string; readonly refusal: string }

/** Outcome of a verb: the state after it, or a sentence that says why nothing was done. */
type Outcome = State | string

/**
 * Handles the action annotation: exactly once per id, whatever happens in between, as its acknowledgement is written to status
 * together with what it changed.
 */
export function handleAction(state: State, at: Situation): State {
  const text = at.seen.resource.metadata.annotations?.[ACTION_ANNOTATION]
  if (text === undefined) return state
  const parsed = parseAction(text)
  const asked = 'action' in parsed ? parsed.action : parsed
  if (asked.id === state.lastHandledAction?.id || state.handledActions.includes(asked.id)) return state
  const outcome: Outcome = 'action' in parsed ? perform(state, parsed.action, at) : parsed.refusal
  const refused = typeof outcome === 'string'
  const handled: HandledAction = {
    id: asked.id,
    verb: asked.verb,
    result: refused ? `Refused: ${outcome}` : 'Done',
    at: at.now,
  }
  return {
    ...(refused ? state : outcome),
    lastHandledAction: handled,
    handledActions: [asked.id, ...state.handledActions].slice(0, MAX_HANDLED),
  }
}

function parseAction(text: string): Parsed {
  const refuse = (refusal: string, id = idOf(text), verb = 'unknown'): Parsed => ({ id, verb, refusal })
  if (text.length > MAX_ANNOTATION_LENGTH)
    return refuse(`the annotation is longer than ${MAX_ANNOTATION_LENGTH} characters`)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return refuse('the annotation is not JSON; write {"id":"...","verb":"...","revision":"..."}')
  }
  if (typeof value !== 'object' || value === null) return refuse('the annotation is not a JSON object')
  const { id, verb, revision } = value as Record<string, unknown>
  if (typeof id !== 'string' || id === '' || id.length > MAX_ID_LENGTH)
    return refuse('id must be a string of 1 to 128 characters')
  const known = VERBS.find((each) => each === verb)
  if (known === undefined)
    return refuse(
      `verb must be one of ${VERBS.join(', ')}`,
      id,
      typeof verb === 'string' ? verb.slice(0, 32) : 'unknown',
    )
  if (typeof revision !== 'string' || revision === '')
    return refuse('revision must name the revision that is meant', id, known)
  return { action: { id, verb: known, revision } }
}

/** Of an annotation without a legible one: the same for the same text, so that each such text is answered, and once. */
function idOf(text: string): string {
  return `invalid-${createHash('sha256').update(text).digest('hex').slice(0, 8)}`
}

function perform(state: State, action: Action, at: Situation): Outcome {
  switch (action.verb) {
    case 'retry':
      return retry(state, action)
    case 'undo':
      return undo(state, action, at)
    case 'promote':
    case 'approve':
    case 'abort':
    case 'pause':
    case 'resume':
      return performOnCandidate(state, { ...action, verb: action.verb }, at)
    default:
      return action.verb satisfies never
  }
}

function performOnCandidate(
  state: State,
  action: Action & { verb: Exclude<Verb, 'retry' | 'undo'> },
  at: Situation,
): Outcome {
  const { rollout } = state
  const candidate = candidateOf(rollout)
  if (rollout.phase === 'Idle') return 'no rollout is under way'
  if (candidate !== action.revision) return `the candidate is ${candidate ?? 'none'}, not ${action.revision}`
  if (rollout.phase === 'RollingBack') return 'the rollout is being rolled back already'
  switch (action.verb) {
    case 'promote':
      return promoteNow(state, action, rollout, at)
    case 'approve':
      return approve(state, rollout, at)
    case 'abort':
      return abort(state, rollout, at)
    case 'pause':
      return state.held === undefined
        ? { ...state, held: { by: 'Action', reason: 'paused by an action', since: at.now } }
        : `it is held already: ${state.held.reason}`
    case 'resume':
      return resume(state, rollout, at)
    default:
      return action.verb satisfies never
  }
}

/**
 * Skips the steps that are left; the candidate must still be healthy at full size before the Service moves. Without a pod of stable no
 * step can begin, so then it need not have a share first.
 */
function promoteNow(state: State, action: Action, rollout: ActiveRollout, at: Situation): Outcome {
  const stableAnswers = readyPods(workloadOf(at.seen, state.stable)).length > 0
  if (rollout.phase === 'Preparing' && (stableAnswers || !at.seen.records.has(rollout.candidate)))
    return 'the candidate is still being prepared; promote once it has a share'
  const place = rollout.phase === 'Shifting' ? ` at step ${rollout.step + 1} of ${rollout.steps.length}` : ''
  return toPromoting(state, waiving(rollout, `action ${action.id} promoted it${place}`), at)
}

function approve(state: State, rollout: ActiveRollout, at: Situation): Outcome {
  if (rollout.phase !== 'Shifting' || state.held?.by !== 'Approval') return 'nothing waits for an approval'
  return { ...withoutHold(state), rollout: { ...rollout, approved: true, progressedAt: at.now } }
}

/** The revision is remembered as rejected, else the same spec would start it again at once; `retry` forgets that. */
function abort(state: State, rollout: ActiveRollout, at: Situation): Outcome {
  const rejection = { revision: rollout.candidate, gate: 'Abort', message: 'aborted by an action', at: at.now }
  const aborted = rollBack(state, rollout, { kind: 'Abort', message: 'aborted by an action' }, at)
  return { ...aborted, rejected: remember(rejection, aborted.rejected) }
}

function resume(state: State, rollout: ActiveRollout, at: Situation): Outcome {
  const by = state.held?.by
  switch (by) {
    case 'Action':
      return { ...withoutHold(state), rollout: { ...rollout, progressedAt: at.now } }
    case 'GateFailure':
      return rollout.phase === 'Shifting' ? toStep(state, rollout, rollout.step, at) : withoutHold(state)
    case 'Approval':
      return 'it waits for an approval; use approve'
    case 'Spec':
      return 'spec.rollout.paused is true; change it there'
    case undefined:
      return 'it is not held'
    default:
      return by satisfies never
  }
}

/** Forgets a rejection; for the revision that an undo set aside it ends the undo. */
function retry(state: State, action: Action): Outcome {
  const { override, ...rest } = state
  const endsUndo = override?.specRevision === action.revision
  const rejected = state.rejected.filter((rejection) => rejection.revision !== action.revision)
  if (rejected.length === state.rejected.length && !endsUndo) return `${action.revision} is not rejected`
  return { ...(endsUndo ? rest : state), rejected }
}

/** Goes back only to what served before: a candidate has to pass its gates, or be promoted by name. */
function undo(state: State, action: Action, at: Situation): Outcome {
  const { revision } = action
  if (revision === state.stable) return `${revision} is stable already`
  if (revision === candidateOf(state.rollout)) return `${revision} is the candidate; use promote`
  const served =
    state.retiring.some((old) => old.revision === revision) ||
    state.history.some((entry) => entry.revision === revision && entry.outcome === 'Promoted')
  if (!served) return `${revision} has never served, as far as status remembers; apply its spec instead`
  const record = at.seen.records.get(revision)
  if (record === undefined) return `${revision} is not kept any more; apply its spec again`
  const plain = withoutCertificate(revision, record.source, state, at.seen)
  if (plain !== undefined)
    return `${revision} wants client certificates, and ${plain}, which would relay to it, has none; roll out spec.server.tls with mode: Simple first`
  const { metadata, spec } = at.seen.resource
  return {
    ...state,
    override: { revision, specRevision: revisionName(metadata.name, spec) },
    rejected: state.rejected.filter((rejection) => rejection.revision !== revision),
  }
}
