/**
 * `POST /predict` and `POST /predict/batch`: rows of features in, predictions out.
 *
 * `prediction` is the class's label as the model has it (number or string) or the value of a regression; `probability` is that
 * of the predicted class, null when the model gives none. For a batch, `probabilities` has for each row the probabilities of all
 * classes, in the order of `classes`.
 */
import type { Prediction, Row } from '../../model/rows.ts'
import { rowProblem } from '../../model/rows.ts'
import type { TabularSignature } from '../../model/signature.ts'
import { ApiError, errorBody, unrepresentable, v2ErrorBody } from '../api-error.ts'
import type { InferenceRequest, InferenceRoute } from '../inference.ts'
import { checkJsonType } from '../json/content-type.ts'
import { parseCounting, refuseRepeated, type CountedJson } from '../json/json-body.ts'
import { PlainRows } from '../json/plain-rows.ts'
import type { ServedModel } from '../served-model.ts'
import { timeoutIn } from '../timeout.ts'
import { namedRow } from './named-row.ts'

const PLAIN_FEATURES = new PlainRows('features')
const PLAIN_INSTANCES = new PlainRows('instances')

export const predictRoute: InferenceRoute = {
  endpoint: 'predict',
  wording: errorBody,
  async answer(request, model, id) {
    const signature = tabular(model)
    const row = rowOf(request, signature)
    const [prediction] = await model.predict([row], id, timeoutIn(request.headers))
    return predictionBody(prediction as Prediction, request.receivedAt)
  },
}

/** @param maxInstances rows that one request may have */
export function predictBatchRoute(maxInstances: number): InferenceRoute {
  return {
    endpoint: 'predict_batch',
    wording: errorBody,
    async answer(request, model, id) {
      const signature = tabular(model)
      const rows = instancesOf(request, signature, maxInstances)
      return batchBody(signature, await model.predict(rows, id, timeoutIn(request.headers)), request.receivedAt)
    },
  }
}

/**
 * `POST /v1/models/{name}:predict` of KServe's first protocol: the same rows as a batch, as `instances` or `inputs`, and the predictions
 * alone.
 * @param maxInstances rows that one request may have
 */
export function predictV1Route(maxInstances: number): InferenceRoute {
  return {
    endpoint: 'v1_predict',
    wording: v2ErrorBody,
    async answer(request, model, id) {
      const signature = tabular(model)
      const rows = instancesOf(request, signature, maxInstances, ['instances', 'inputs'])
      const predictions = await model.predict(rows, id, timeoutIn(request.headers))
      return `{"predictions":[${predictions.map(({ prediction }) => scalarJson(prediction)).join()}]}`
    },
  }
}

function tabular({ signature }: ServedModel): TabularSignature {
  if (signature.kind === 'tabular') return signature
  throw new ApiError(
    'unsupported_by_model',
    `This model cannot be asked by rows of features: ${signature.reason} Use the V2 protocol, POST /v2/models/{name}/infer.`,
  )
}

function rowOf(request: InferenceRequest, signature: TabularSignature): Row {
  checkJsonType(request.headers)
  const plain = PLAIN_FEATURES.row(request.body)
  if (plain !== undefined) return checkedRow(signature, plain, 'features')
  const { value: features, members } = onlyMember(request, ['features'])
  const row = checkedRow(signature, features, 'features')
  checkNames(request, members, signature, [features])
  return row
}

/** The one member that the body must have: a misspelt or surplus one is refused, as ignoring it would hide a mistake. */
function onlyMember({ body }: InferenceRequest, names: readonly string[]): CountedJson & { readonly name: string } {
  const { value, members: count } = parseCounting(body)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ApiError('invalid_request', `The body must be a JSON object with the member "${names[0]}".`)
  }
  const members = Object.keys(value)
  const name = names.find((known) => members.includes(known))
  if (name === undefined) {
    throw new ApiError('invalid_request', `The member "${names[0]}" is missing.`, { field: names[0] ?? '' })
  }
  const surplus = members.find((member) => member !== name)
  if (surplus !== undefined) {
    const field = surplus.slice(0, 80)
    throw new ApiError('invalid_request', `Unknown member ${JSON.stringify(field)}; send only "${name}".`, { field })
  }
  return { value: (value as Record<string, unknown>)[name], members: count, name }
}

/**
 * Refuses a body in which a name comes twice: parsing keeps only the last of them.
 * @param members of the whole body as it was written
 * @param rows of the body, which were checked: those that are objects have a member for each feature and no other
 */
function checkNames(
  { body }: InferenceRequest,
  members: number,
  { features }: TabularSignature,
  rows: readonly unknown[],
): void {
  let expected = 1
  for (const row of rows) if (!Array.isArray(row)) expected += features.length
  if (members !== expected) refuseRepeated(body)
}

function checkedRow(signature: TabularSignature, value: unknown, path: string): Row {
  const row = namedRow(signature, value, path)
  const problem = rowProblem(signature, row, path)
  // The problem's first word is the path of what is wrong.
  if (problem !== undefined)
    throw new ApiError('invalid_input', `${problem}.`, { field: problem.split(' ', 1)[0] ?? path })
  return row as Row
}

function instancesOf(
  request: InferenceRequest,
  signature: TabularSignature,
  maxInstances: number,
  names: readonly string[] = ['instances'],
): Row[] {
  checkJsonType(request.headers)
  const plain = PLAIN_INSTANCES.rows(request.body)
  const found = plain === undefined ? onlyMember(request, names) : { value: plain, members: 1, name: 'instances' }
  const { value: instances, members, name } = found
  if (!Array.isArray(instances)) {
    throw new ApiError('invalid_request', `"${name}" must be an array of rows.`, { field: name })
  }
  if (instances.length === 0 || instances.length > maxInstances) {
    const problem = `"${name}" must have 1 to ${maxInstances} rows, got ${instances.length}.`
    throw new ApiError('invalid_input', problem, { field: name })
  }
  const rows = instances.map((row, index) => checkedRow(signature, row, `${name}[${index}]`))
  checkNames(request, members, signature, instances)
  return rows
}

function predictionBody({ prediction, probability }: Prediction, receivedAt: number): string {
  return `{"prediction":${scalarJson(prediction)},"probability":${numberJson(probability)},"latency_ms":${latencyMs(receivedAt)}}`
}

function batchBody(signature: TabularSignature, predictions: readonly Prediction[], receivedAt: number): string {
  const labels = predictions.map(({ prediction }) => scalarJson(prediction))
  const rows = predictions.map(({ probabilities }) => probabilities && `[${probabilities.map(numberJson).join()}]`)
  const probabilities = rows.includes(undefined) ? 'null' : `[${rows.join()}]`
  const classes = signature.classLabels === undefined ? '' : `"classes":${JSON.stringify(signature.classLabels)},`
  return `{"predictions":[${labels.join()}],"probabilities":${probabilities},${classes}"latency_ms":${latencyMs(receivedAt)},"count":${predictions.length}}`
}

function scalarJson(value: number | string): string {
  return typeof value === 'string' ? JSON.stringify(value) : numberJson(value)
}

function numberJson(value: number | null): string {
  if (value !== null && !Number.isFinite(value)) throw unrepresentable(`The model answered ${value}`)
  return `${value}`
}

function latencyMs(receivedAt: number): number {
  return Math.round((performance.now() - receivedAt) * 1000) / 1000
}
