/**
 * `POST /feedback`: the truth about an answer, found out later.
 *
 * `{"id", "label"}` for one row, `{"id", "labels": [...]}` for a batch, with the id of the answer's header `x-request-id`. Each answer
 * counts once, so a client may repeat its feedback. Answers are kept by the pod that gave them; where there are several, a client
 * also sends the `prediction` that it was given, and then every pod of the revision can count it, once; it believes the client that
 * there was such an answer.
 */
import type { Prediction } from '../model/rows.ts'
import type { TabularSignature } from '../model/signature.ts'
import { ApiError } from '../serve/api-error.ts'
import { keptLabel } from './kept-label.ts'
import type { FeedbackResult } from './metrics.ts'
import type { Monitor } from './monitor.ts'

export interface FeedbackOutcome {
  readonly id: string
  /** Labels that were counted now: none when this answer had its labels already. */
  readonly counted: number
}

type Label = number | string

const MEMBERS = ['id', 'label', 'labels', 'prediction']
const MAX_LABEL_CHARACTERS = 256

/**
 * @param count told of each label that is taken
 * @throws ApiError naming the field that is wrong; `not_found` when another revision may know the answer
 */
export function takeFeedback(
  monitor: Monitor,
  body: unknown,
  count: (result: FeedbackResult) => void,
): FeedbackOutcome {
  const { signature } = monitor
  if (signature === undefined) {
    throw new ApiError('unsupported_by_model', 'Feedback needs a model that is loaded and answers rows of features.')
  }
  const members = membersOf(body)
  const { id } = members
  if (typeof id !== 'string' || id === '') {
    const message = 'id must be a string: the header x-request-id of the answer.'
    throw new ApiError('invalid_request', message, { field: 'id' })
  }
  const kept = monitor.answers.find(id)
  const predictions = kept?.predictions ?? [toldPrediction(monitor, id, members, signature)]
  const labels = labelsOf(members, signature)
  if (kept === undefined ? monitor.labelledElsewhere.has(id) : kept.isLabelled) {
    count('repeated')
    return { id, counted: 0 }
  }
  if (labels.length !== predictions.length) {
    const field = members['labels'] === undefined ? 'label' : 'labels'
    throw invalid(
      field,
      `labels must have one label for each of the ${predictions.length} rows of that answer, got ${labels.length}.`,
    )
  }
  if (kept === undefined) monitor.labelledElsewhere.add(id)
  else monitor.answers.markLabelled(id)
  predictions.forEach((prediction, index) => {
    const label = labels[index] as Label
    monitor.label(label, prediction)
    count(resultOf(signature, label, prediction))
  })
  return { id, counted: labels.length }
}

function resultOf({ task }: TabularSignature, label: Label, { prediction }: Prediction): FeedbackResult {
  if (task === 'regression') return 'scored'
  return keptLabel(label) === keptLabel(prediction) ? 'correct' : 'wrong'
}

type Members = Readonly<Record<string, unknown>>

function membersOf(body: unknown): Members {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new ApiError('invalid_request', 'The body must be a JSON object with the members "id" and "label".')
  }
  const unknown = Object.keys(body)
    .find((name) => !MEMBERS.includes(name))
    ?.slice(0, 80)
  if (unknown !== undefined) {
    throw new ApiError(
      'invalid_request',
      `Unknown member ${JSON.stringify(unknown)}; known are ${MEMBERS.join(', ')}.`,
      { field: unknown },
    )
  }
  return body as Members
}

function labelsOf({ label, labels }: Members, signature: TabularSignature): Label[] {
  if ((label === undefined) === (labels === undefined)) {
    const message = 'Send either label, for one row, or labels, an array with one for each row.'
    throw new ApiError('invalid_request', message, { field: 'label' })
  }
  if (labels === undefined) return [checkedLabel(signature, label, 'label')]
  if (!Array.isArray(labels)) throw invalid('labels', 'labels must be an array with one label for each row.')
  return labels.map((each, index) => checkedLabel(signature, each, `labels[${index}]`))
}

/** What the client says it was answered, when this process cannot know. */
function toldPrediction({ answers }: Monitor, id: string, members: Members, signature: TabularSignature): Prediction {
  const { prediction } = members
  if (prediction === undefined || !answers.isOfThisRevision(id)) {
    const remedy = answers.isOfThisRevision(id)
      ? 'it is too old or another pod gave it: send the prediction as well.'
      : 'it is too old, or another revision or another pod gave it.'
    throw new ApiError('not_found', `The answer with this id is not known here: ${remedy}`, { field: 'id' })
  }
  return { prediction: checkedLabel(signature, prediction, 'prediction'), probability: null }
}

function checkedLabel({ task, classLabels }: TabularSignature, value: unknown, field: string): Label {
  const label = typeof value === 'boolean' ? Number(value) : value
  if (task === 'regression') {
    if (typeof label === 'number' && Number.isFinite(label)) return label
    throw invalid(field, `${field} must be a finite number.`)
  }
  if (classLabels !== undefined) {
    const found = classLabels.find((known) => known === label)
    if (found !== undefined) return found
    const shown = classLabels.slice(0, 10).map((known) => JSON.stringify(known))
    throw invalid(
      field,
      `${field} must be one of the model's classes: ${shown.join(', ')}${classLabels.length > 10 ? ', ...' : ''}.`,
    )
  }
  if (typeof label === 'number' && Number.isFinite(label)) return label
  if (typeof label === 'string' && label.length <= MAX_LABEL_CHARACTERS) return label
  throw invalid(field, `${field} must be a number or a string of at most ${MAX_LABEL_CHARACTERS} characters.`)
}

function invalid(field: string, message: string): ApiError {
  return new ApiError('invalid_input', message, { field })
}
