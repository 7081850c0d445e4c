/** Schemas of `/predict`, `/predict/batch`, V1 and feedback, for a model that is asked by rows of features. */
import type { FeatureProfile, Profile } from '../../monitor/profile.ts'
import type { Feature, TabularSignature } from '../../model/signature.ts'
import type { Datatype } from '../../model/tensor.ts'
import { categoriesByCount } from './typical-row.ts'
import { featureValueSchema, schemaRef, type Schema } from './value-schema.ts'

/** Of a row's features; a model with more is described by its count and its values' type. */
const MAX_LISTED_FEATURES = 1000
/** Of a model's classes, and of a feature's categories. */
export const MAX_LISTED_VALUES = 100

/** By their names below `#/components/schemas/`. */
export type Schemas = Readonly<Record<string, Schema>>

interface RowSchemasOptions {
  readonly signature: TabularSignature
  readonly profile: Profile | undefined
  /** Rows that one request may have. */
  readonly maxInstances: number
}

export function rowSchemas({ signature, profile, maxInstances }: RowSchemasOptions): Schemas {
  const datatypes = [...new Set(signature.blocks.map(({ datatype }) => datatype))]
  const values = datatypes.map((datatype) => [featureName(datatype), featureValueSchema(datatype)] as const)
  const isNamed = signature.features.length > 0
  return {
    ...Object.fromEntries(values),
    RowByPlace: rowByPlace(signature, profile),
    ...(isNamed && { RowByName: rowByName(signature, profile) }),
    Row: isNamed ? { anyOf: [schemaRef('RowByPlace'), schemaRef('RowByName')] } : schemaRef('RowByPlace'),
    PredictRequest: object({ features: schemaRef('Row') }, { closed: true }),
    RowsRequest: object(
      { instances: { type: 'array', items: schemaRef('Row'), minItems: 1, maxItems: maxInstances } },
      { closed: true },
    ),
    Prediction: predictionSchema(signature),
    PredictAnswer: object({
      prediction: schemaRef('Prediction'),
      probability: probabilitySchema(signature),
      latency_ms: LATENCY,
    }),
    BatchAnswer: batchAnswer(signature),
    V1Answer: object({ predictions: { type: 'array', items: schemaRef('Prediction') } }),
    Label: labelSchema(signature),
    ...feedbackSchemas(),
    FeedbackAnswer: object({
      id: { type: 'string' },
      counted: {
        type: 'integer',
        minimum: 0,
        description: 'Labels that were counted now: 0 when it had them already.',
      },
    }),
  }
}

/** An object that needs all of its members; a closed one may have no others. */
export function object(properties: Schemas, { closed = false } = {}): Schema {
  const required = Object.keys(properties)
  return { type: 'object', properties, required, ...(closed && { additionalProperties: false }) }
}

const LATENCY: Schema = { type: 'number', minimum: 0, description: 'Time in the server, in milliseconds.' }

function featureName(datatype: Datatype): string {
  return `Feature${datatype}`
}

function rowByPlace({ features, featureCount, blocks }: TabularSignature, profile: Profile | undefined): Schema {
  const datatypes = [...new Set(blocks.map(({ datatype }) => datatype))]
  const refs = datatypes.map((datatype) => schemaRef(featureName(datatype)))
  const anyValue = refs.length === 1 ? refs[0] : { anyOf: refs }
  if (featureCount === -1) {
    return { type: 'array', description: 'Any number of values.', items: anyValue, minItems: 1 }
  }
  const size = { minItems: featureCount, maxItems: featureCount }
  if (features.length > MAX_LISTED_FEATURES) {
    return { type: 'array', description: `${featureCount} values, one for each feature.`, items: anyValue, ...size }
  }
  const seen = profilesOf(profile)
  return {
    type: 'array',
    description: 'The features’ values, in the order that the model takes.',
    prefixItems: features.map((feature) => ({
      title: feature.name,
      ...featureSchema(feature, seen.get(feature.name)),
    })),
    ...size,
  }
}

function rowByName({ features, blocks }: TabularSignature, profile: Profile | undefined): Schema {
  const description = 'The features’ values by name, in any order.'
  if (features.length > MAX_LISTED_FEATURES) {
    const refs = [...new Set(blocks.map(({ datatype }) => datatype))].map((each) => schemaRef(featureName(each)))
    const size = { minProperties: features.length, maxProperties: features.length }
    return { type: 'object', description, additionalProperties: { anyOf: refs }, ...size }
  }
  const seen = profilesOf(profile)
  const properties = features.map((feature) => [feature.name, featureSchema(feature, seen.get(feature.name))] as const)
  return { description, ...object(Object.fromEntries(properties), { closed: true }) }
}

function profilesOf(profile: Profile | undefined): Map<string, FeatureProfile> {
  return new Map(profile?.features.map((feature) => [feature.name, feature]))
}

/** What the training data had is no limit: the model may take other values as well. */
function featureSchema({ datatype }: Feature, seen: FeatureProfile | undefined): Schema {
  const ref = schemaRef(featureName(datatype))
  const note = noteOf(seen)
  if (seen === undefined || note === undefined) return ref
  const described = { ...ref, description: `In the training data: ${note}.` }
  if (seen.kind === 'numeric') return described
  const categories = categoriesByCount(seen).slice(0, MAX_LISTED_VALUES)
  const values = datatype === 'BYTES' ? categories : categories.map(Number).filter(Number.isFinite)
  return { ...described, ...(values.length > 0 && { examples: values }) }
}

/** What a feature was like in the training data, for people. */
export function noteOf(seen: FeatureProfile | undefined): string | undefined {
  if (seen === undefined) return undefined
  if (seen.kind === 'numeric') {
    const { values, mean } = seen
    return `from ${figure(values[0] ?? 0)} to ${figure(values.at(-1) ?? 0)}, mean ${figure(mean)}`
  }
  const categories = categoriesByCount(seen).slice(0, MAX_LISTED_VALUES)
  const more = Object.keys(seen.categories).length - categories.length
  const others = more > 0 ? ` and ${more} more` : seen.other > 0 ? ' and rarer ones' : ''
  return `${categories.join(', ')}${others}`
}

function figure(value: number): string {
  return String(Number(value.toPrecision(4)))
}

function predictionSchema({ task, classLabels, prediction }: TabularSignature): Schema {
  if (task === 'regression') return { type: 'number', description: 'The predicted value.' }
  if (classLabels !== undefined && classLabels.length <= MAX_LISTED_VALUES) {
    return { enum: classLabels, description: 'The predicted class.' }
  }
  const description =
    prediction === undefined ? 'The place of the most probable class, from 0.' : 'The predicted class.'
  if (prediction?.datatype === 'BYTES') return { type: 'string', description }
  // Labels beyond 2^53 are given by their digits.
  return { type: prediction?.datatype === 'INT64' ? ['integer', 'string'] : 'integer', description }
}

function probabilitySchema({ probability }: TabularSignature): Schema {
  if (probability === undefined) return { type: 'null', description: 'This model gives no probabilities.' }
  return { type: 'number', description: 'Probability of the predicted class.' }
}

function batchAnswer({ probability, classLabels }: TabularSignature): Schema {
  const rows = { type: 'array', items: { type: 'array', items: { type: 'number' } } }
  const description = 'For each row, the probabilities of all classes, in the order of the classes.'
  const classes = classLabels === undefined ? {} : { classes: { type: 'array', items: schemaRef('Prediction') } }
  return object({
    predictions: { type: 'array', items: schemaRef('Prediction') },
    probabilities: probability === undefined ? { type: 'null' } : { ...rows, description },
    ...classes,
    latency_ms: LATENCY,
    count: { type: 'integer', minimum: 1 },
  })
}

const MAX_LABEL_CHARACTERS = 256

function labelSchema({ task, classLabels }: TabularSignature): Schema {
  const description = 'What turned out to be true.'
  if (task === 'regression') return { type: 'number', description }
  if (classLabels !== undefined && classLabels.length <= MAX_LISTED_VALUES) return { enum: classLabels, description }
  return { anyOf: [{ type: 'number' }, { type: 'string', maxLength: MAX_LABEL_CHARACTERS }], description }
}

/** One label for one row, or one for each row of a batch. */
function feedbackSchemas(): Schemas {
  const id = { type: 'string', minLength: 1, description: 'The header x-request-id of the answer.' }
  const prediction = {
    ...schemaRef('Prediction'),
    description: 'What was answered. Needed when another pod gave that answer, or it was long ago.',
  }
  const labels = { type: 'array', items: schemaRef('Label'), minItems: 1, description: 'One for each row, in order.' }
  const of = (label: Schemas): Schema => ({
    type: 'object',
    properties: { id, ...label, prediction },
    required: ['id', ...Object.keys(label)],
    additionalProperties: false,
  })
  return {
    FeedbackOfRow: of({ label: schemaRef('Label') }),
    FeedbackOfBatch: of({ labels }),
    FeedbackRequest: { oneOf: [schemaRef('FeedbackOfRow'), schemaRef('FeedbackOfBatch')] },
  }
}
