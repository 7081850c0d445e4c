/** Operations that ask the model: by rows of features, and by tensors. */
import { DURATION_HEADER, REQUEST_ID_HEADER, REVISION_HEADER } from '../../../protocol/headers.ts'
import type { Tensors } from '../../model/tensor.ts'
import { HEADER_LENGTH } from '../v2/binary-data.ts'
import { modelPaths, v1PredictPath } from '../v2/paths.ts'
import { dataJson } from '../v2/tensor-data.ts'
import type { Described } from './described.ts'
import { errorResponsesOfBodies } from './errors.ts'
import type { Operation, Paths } from './operation.ts'
import type { Schemas } from './row-schemas.ts'
import { schemaRef, type Schema } from './value-schema.ts'

/** For `components.headers`. */
export const ANSWER_HEADERS: Schemas = {
  Revision: { description: 'The revision that computed the answer.', schema: { type: 'string' } },
  RequestId: { description: 'Names this answer when feedback is given.', schema: { type: 'string' } },
  Duration: {
    description: 'Time from the complete request to the answer, in microseconds.',
    schema: { type: 'integer', minimum: 0 },
  },
}

/** For `components.parameters`. */
export const REQUEST_PARAMETERS: Schemas = {
  RequestId: {
    name: REQUEST_ID_HEADER,
    in: 'header',
    description: 'Your own name for the answer; without it the server makes one.',
    schema: { type: 'string' },
  },
  Timeout: {
    name: 'timeout',
    in: 'header',
    description: 'How long you wait, for example 250ms or 2s: the request is not computed and not kept for longer.',
    schema: { type: 'string', pattern: '^0*[1-9][0-9]*(us|ms|s)$', maxLength: 15 },
  },
  HeaderLength: {
    name: HEADER_LENGTH,
    in: 'header',
    description: 'Length of the JSON in bytes, when tensors follow it as bytes (the binary tensor data extension).',
    schema: { type: 'integer', minimum: 0 },
  },
}

/** For `components.links`. */
export const LINKS: Schemas = {
  Feedback: {
    operationId: 'feedback',
    description: 'Tell what turned out to be true: send this answer’s x-request-id as id.',
  },
}

/** Example Objects by name. */
export type ExampleObjects = Readonly<Record<string, { readonly summary?: string; readonly value: unknown }>>

/** For `components.examples`: each request was answered by this model, and the answer is what it said. */
export function inferenceExamples({ examples, model, modelName, modelVersion }: Described): ExampleObjects {
  const { rows, tensors } = examples
  const { signature } = model
  const [first] = rows
  const isNamed = signature.kind === 'tabular' && signature.features.length > 0
  const instances = rows.map(({ row }) => row)
  const predictions = rows.map(({ prediction: { prediction } }) => prediction)
  const probabilities = rows.map((each) => each.prediction.probabilities)
  const classes = signature.kind === 'tabular' ? signature.classLabels : undefined
  return {
    ...(first !== undefined && {
      RowByPlace: { summary: 'a row', value: { features: first.row } },
      ...(isNamed && {
        RowByName: {
          summary: 'a row by names',
          value: { features: Object.fromEntries(signature.features.map(({ name }, at) => [name, first.row[at]])) },
        },
      }),
      RowAnswer: {
        value: {
          prediction: first.prediction.prediction,
          probability: first.prediction.probability,
          latency_ms: SOME_LATENCY_MS,
        },
      },
      Rows: { summary: 'rows', value: { instances } },
      RowsAnswer: {
        value: {
          predictions,
          probabilities: probabilities.includes(undefined) ? null : probabilities,
          ...(classes !== undefined && { classes }),
          latency_ms: SOME_LATENCY_MS,
          count: rows.length,
        },
      },
      RowsV1Answer: { value: { predictions } },
    }),
    ...(tensors !== undefined && {
      Tensors: { summary: 'tensors', value: { inputs: tensorsJson(tensors.inputs) } },
      TensorsAnswer: {
        value: { model_name: modelName, model_version: modelVersion, outputs: tensorsJson(tensors.outputs) },
      },
    }),
  }
}

const SOME_LATENCY_MS = 0.412

function tensorsJson(tensors: Tensors) {
  return Object.entries(tensors).map(([name, tensor]) => {
    const data = JSON.parse(dataJson(name, tensor)) as unknown[]
    const { datatype, shape } = tensor
    return { name, datatype, shape, data: datatype === 'FP32' ? data.map((value) => short(value as number)) : data }
  })
}

/** The shortest number that is the same as a 32-bit float. */
function short(value: number): number {
  for (let digits = 1; digits < 9; digits += 1) {
    const rounded = Number(value.toPrecision(digits))
    if (Math.fround(rounded) === value) return rounded
  }
  return value
}

/** An operation that asks the model, in the names of its parts. */
export interface Asking {
  readonly operationId: string
  readonly tag: string
  readonly summary: string
  readonly description: string
  readonly request: string
  readonly answer: string
  /** Names of `inferenceExamples`. */
  readonly examples: readonly string[]
  readonly answerExample: string
  readonly family: 'Error' | 'V2Error'
}

export function inferencePaths(described: Described): Paths {
  const known = inferenceExamples(described)
  return Object.fromEntries(
    askings(described).map(([path, asking]) => [path, { post: operation(asking, known, path.endsWith('/infer')) }]),
  )
}

/** By path. */
export function askings(described: Described): Entry[] {
  const isTabular = described.model.signature.kind === 'tabular'
  return [...(isTabular ? rowOperations(described) : []), ...tensorOperations(described)]
}

type Entry = readonly [path: string, asking: Asking]

function rowOperations({ modelName, maxInstances }: Described): Entry[] {
  const rows = `1 to ${maxInstances} rows in one request.`
  const ofRows = { request: 'RowsRequest', examples: ['Rows'] }
  return [
    [
      '/predict',
      {
        operationId: 'predict',
        tag: TAGS.rows,
        summary: 'Predict one row',
        description:
          'Values in the order of the features, or by their names. The probability is that of the prediction.',
        request: 'PredictRequest',
        answer: 'PredictAnswer',
        examples: ['RowByPlace', 'RowByName'],
        answerExample: 'RowAnswer',
        family: 'Error',
      },
    ],
    [
      '/predict/batch',
      {
        ...ofRows,
        operationId: 'predictBatch',
        tag: TAGS.rows,
        summary: 'Predict several rows',
        description: `${rows} Answers come in their order.`,
        answer: 'BatchAnswer',
        answerExample: 'RowsAnswer',
        family: 'Error',
      },
    ],
    [
      v1PredictPath(modelName),
      {
        ...ofRows,
        operationId: 'predictV1',
        tag: TAGS.v1,
        summary: 'KServe V1: predict several rows',
        description: `${rows} The answer has the predictions alone.`,
        answer: 'V1Answer',
        answerExample: 'RowsV1Answer',
        family: 'V2Error',
      },
    ],
  ]
}

export const TAGS = {
  rows: 'Predictions',
  v1: 'KServe V1',
  v2: 'Open Inference Protocol V2',
  watching: 'Feedback and monitoring',
  health: 'Health',
  about: 'About',
} as const

function tensorOperations(described: Described): Entry[] {
  const [path, versionPath] = modelPaths(described)
  const common = {
    tag: TAGS.v2,
    request: 'InferRequest',
    answer: 'InferAnswer',
    examples: ['Tensors'],
    answerExample: 'TensorsAnswer',
    family: 'V2Error' as const,
  }
  const limit = `A first size that may vary is at most ${described.maxInstances}.`
  return [
    [`${path}/infer`, { ...common, operationId: 'infer', summary: 'V2: tensors in, tensors out', description: limit }],
    [
      `${versionPath}/infer`,
      {
        ...common,
        operationId: 'inferByVersion',
        summary: 'V2: the same, by this version and no other',
        description: `${limit} No other revision answers here, even while one is rolled out.`,
      },
    ],
  ]
}

function operation(asking: Asking, known: ExampleObjects, isV2: boolean): Operation {
  const { operationId, tag, summary, description, request, answer, family } = asking
  const examples = namedExamples(asking.examples, known)
  const answerExamples = namedExamples([asking.answerExample], known)
  const bytes = { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } }
  return {
    operationId,
    tags: [tag],
    summary,
    description,
    parameters: [parameterRef('RequestId'), parameterRef('Timeout'), ...(isV2 ? [parameterRef('HeaderLength')] : [])],
    requestBody: {
      required: true,
      content: { 'application/json': { schema: schemaRef(request), ...examples }, ...(isV2 && bytes) },
    },
    responses: {
      '200': {
        description: 'The answer.',
        headers: {
          [REVISION_HEADER]: headerRef('Revision'),
          [REQUEST_ID_HEADER]: headerRef('RequestId'),
          [DURATION_HEADER]: headerRef('Duration'),
        },
        content: { 'application/json': { schema: schemaRef(answer), ...answerExamples }, ...(isV2 && bytes) },
        ...(!isV2 && { links: { feedback: { $ref: '#/components/links/Feedback' } } }),
      },
      ...errorResponsesOfBodies(family),
    },
  }
}

function namedExamples(names: readonly string[], known: ExampleObjects): Schema {
  const there = names.filter((name) => known[name] !== undefined)
  if (there.length === 0) return {}
  return { examples: Object.fromEntries(there.map((name) => [name, { $ref: `#/components/examples/${name}` }])) }
}

function parameterRef(name: string): Schema {
  return { $ref: `#/components/parameters/${name}` }
}

function headerRef(name: string): Schema {
  return { $ref: `#/components/headers/${name}` }
}
