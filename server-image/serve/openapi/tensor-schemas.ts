/** Schemas of the Open Inference Protocol V2 for one model: its own inputs and outputs, each with its name, datatype and shape. */
import type { ModelContract, TensorContract } from '../../../protocol/resolve.ts'
import type { Datatype } from '../../model/tensor.ts'
import { object, type Schemas } from './row-schemas.ts'
import { answerElementSchema, elementSchema, schemaRef, type Schema } from './value-schema.ts'

/** @param maxInstances rows that one request may have */
export function tensorSchemas({ inputs, outputs }: ModelContract, maxInstances: number): Schemas {
  const asked = Object.fromEntries(
    [...new Set(inputs.map(datatypeOf))].map((datatype) => [`Element${datatype}`, elementSchema(datatype)]),
  )
  const answered = Object.fromEntries(
    [...new Set(outputs.map(datatypeOf))].map((datatype) => [
      `AnsweredElement${datatype}`,
      answerElementSchema(datatype),
    ]),
  )
  return {
    ...asked,
    ...answered,
    InferRequest: {
      type: 'object',
      properties: {
        id: { type: 'string', description: 'Given back in the answer.' },
        parameters: PARAMETERS,
        inputs: inputsSchema(inputs, maxInstances),
        outputs: askedOutputs(outputs),
      },
      required: ['inputs'],
      additionalProperties: false,
    },
    InferAnswer: {
      type: 'object',
      properties: {
        model_name: { type: 'string' },
        model_version: { type: 'string' },
        id: { type: 'string' },
        outputs: { type: 'array', items: oneOf(outputs.map(outputSchema)) },
      },
      required: ['model_name', 'model_version', 'outputs'],
    },
    TensorMetadata: object({
      name: { type: 'string' },
      datatype: { type: 'string' },
      shape: { type: 'array', items: { type: 'integer' }, description: '-1 is a size that may vary.' },
    }),
  }
}

function datatypeOf({ datatype }: TensorContract): Datatype {
  return datatype as Datatype
}

function oneOf(schemas: readonly Schema[]): Schema {
  return schemas.length === 1 ? (schemas[0] as Schema) : { oneOf: schemas }
}

const PARAMETERS: Schema = {
  type: 'object',
  properties: {
    timeout: {
      type: 'integer',
      minimum: 0,
      description: 'How long you wait, in microseconds and at most a day; 0 is no limit.',
    },
    binary_data_output: { type: 'boolean', description: 'All outputs as bytes behind the JSON of the answer.' },
  },
}

/** All of the model's inputs, each once, in any order. */
function inputsSchema(inputs: readonly TensorContract[], maxInstances: number): Schema {
  const each = inputs.map(({ name }) => ({ contains: { properties: { name: { const: name } }, required: ['name'] } }))
  return {
    type: 'array',
    items: oneOf(inputs.map((input) => inputSchema(input, maxInstances))),
    minItems: inputs.length,
    maxItems: inputs.length,
    ...(each.length > 1 && { allOf: each }),
  }
}

function inputSchema(input: TensorContract, maxInstances: number): Schema {
  const { name, datatype, shape } = input
  return {
    type: 'object',
    title: name,
    properties: {
      name: { const: name },
      datatype: { const: datatype },
      shape: shapeSchema(shape, maxInstances),
      data: dataSchema(input, maxInstances),
      parameters: {
        type: 'object',
        properties: {
          binary_data_size: {
            type: 'integer',
            minimum: 0,
            description: 'Bytes of this tensor behind the JSON, in place of data.',
          },
        },
      },
    },
    required: ['name', 'datatype', 'shape'],
    additionalProperties: false,
    anyOf: [
      { required: ['data'] },
      { required: ['parameters'], properties: { parameters: { required: ['binary_data_size'] } } },
    ],
  }
}

function shapeSchema(shape: readonly number[], maxInstances: number): Schema {
  const size = { minItems: shape.length, maxItems: shape.length }
  if (shape.length === 0) return { type: 'array', ...size }
  const dimensions = shape.map((dimension, axis) => {
    if (dimension !== -1) return { const: dimension }
    return { type: 'integer', minimum: 1, ...(axis === 0 && { maximum: maxInstances }) }
  })
  return { type: 'array', prefixItems: dimensions, ...size }
}

/** Written out to the tensor's rank: a schema that contains itself is more than many generators of clients can take. */
function dataSchema({ datatype, shape }: TensorContract, maxInstances: number): Schema {
  const element = schemaRef(`Element${datatype}`)
  const count = shape.reduce((product, size) => product * Math.max(size, 1), 1)
  const flat = { type: 'array', items: element, minItems: count, ...(!shape.includes(-1) && { maxItems: count }) }
  const description = 'The elements in row-major order, flat or nested as the shape says.'
  if (shape.length < 2) return { description, ...flat }
  const nested = shape.reduceRight<Schema>((items, size, axis) => {
    const maxItems = size !== -1 ? size : axis === 0 ? maxInstances : undefined
    return { type: 'array', items, minItems: Math.max(size, 1), ...(maxItems !== undefined && { maxItems }) }
  }, element)
  return { description, anyOf: [flat, nested] }
}

function askedOutputs(outputs: readonly TensorContract[]): Schema {
  const item = {
    type: 'object',
    properties: {
      name: { enum: outputs.map(({ name }) => name) },
      parameters: {
        type: 'object',
        properties: { binary_data: { type: 'boolean', description: 'As bytes behind the JSON of the answer.' } },
      },
    },
    required: ['name'],
    additionalProperties: false,
  }
  return { type: 'array', description: 'Which outputs to answer with; all of them when left out.', items: item }
}

function outputSchema({ name, datatype }: TensorContract): Schema {
  return {
    type: 'object',
    title: name,
    properties: {
      name: { const: name },
      datatype: { const: datatype },
      shape: { type: 'array', items: { type: 'integer', minimum: 0 } },
      data: { type: 'array', items: schemaRef(`AnsweredElement${datatype}`) },
      parameters: { type: 'object', properties: { binary_data_size: { type: 'integer', minimum: 0 } } },
    },
    required: ['name', 'datatype', 'shape'],
  }
}
