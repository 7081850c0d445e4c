/** Operations that do not ask the model: health, metrics, metadata, feedback and monitoring, and the documentation itself. */
import { EVIDENCE_PATH } from '../../../protocol/evidence.ts'
import { modelPaths, V1_MODELS, v1ModelPath } from '../v2/paths.ts'
import type { Described } from './described.ts'
import { errorResponses, errorResponsesOfBodies } from './errors.ts'
import { TAGS } from './inference-operations.ts'
import type { Operation, Paths } from './operation.ts'
import { object } from './row-schemas.ts'
import { schemaRef, type Schema } from './value-schema.ts'

export const OPENAPI_PATH = '/openapi.json'
export const DOCS_PATH = '/docs'

export function serverPaths(described: Described): Paths {
  return { ...healthPaths(), ...protocolPaths(described), ...watchingPaths(described), ...aboutPaths() }
}

interface Reading {
  readonly operationId: string
  readonly tag: string
  readonly summary: string
  readonly description?: string
  /** Of JSON; else `type` says what it is. */
  readonly schema?: Schema
  readonly type?: string
  /** What a 503 means, which has the same form. */
  readonly unready?: string
  readonly others?: Operation['responses']
}

function reading({ operationId, tag, summary, description, schema, type, unready, others }: Reading): {
  readonly get: Operation
} {
  const content = { [type ?? 'application/json']: { schema: schema ?? { type: 'string' } } }
  return {
    get: {
      operationId,
      tags: [tag],
      summary,
      ...(description !== undefined && { description }),
      responses: {
        '200': { description: 'OK', content },
        ...(unready !== undefined && { '503': { description: unready, content } }),
        ...others,
      },
    },
  }
}

function healthPaths(): Paths {
  const state = (states: readonly string[]) => object({ status: { enum: states } })
  return {
    '/health': reading({
      operationId: 'health',
      tag: TAGS.health,
      summary: 'Whether the model is loaded, and which version',
      schema: object({
        status: { enum: ['healthy', 'loading', 'draining'] },
        model_loaded: { type: 'boolean' },
        version: { type: 'string' },
      }),
      unready: 'The model is not loaded yet.',
    }),
    '/livez': reading({
      operationId: 'livez',
      tag: TAGS.health,
      summary: 'Whether the process lives',
      schema: state(['alive']),
    }),
    '/readyz': reading({
      operationId: 'readyz',
      tag: TAGS.health,
      summary: 'Whether new requests are welcome: loaded, warmed up and not draining',
      schema: state(['ready', 'draining', 'loading']),
      unready: 'Not now.',
    }),
  }
}

function protocolPaths(described: Described): Paths {
  const ready = object({ ready: { type: 'boolean' } })
  const unready = 'Not ready.'
  const tag = TAGS.v2
  const [path, versionPath] = modelPaths(described)
  const ofModel = (at: string, suffix: string): Paths => ({
    [at]: reading({
      operationId: `modelMetadata${suffix}`,
      tag,
      summary: 'V2: the model’s inputs and outputs',
      schema: MODEL_METADATA,
      others: errorResponses('V2Error', new Set(['model_not_loaded'])),
    }),
    [`${at}/ready`]: reading({
      operationId: `modelReady${suffix}`,
      tag,
      summary: 'V2: whether the model is ready',
      schema: ready,
      unready,
    }),
  })
  return {
    [V1_MODELS]: reading({
      operationId: 'modelsV1',
      tag: TAGS.v1,
      summary: 'KServe V1: the models, of which there is one',
      schema: object({ models: { type: 'array', items: { type: 'string' } } }),
    }),
    [v1ModelPath(described.modelName)]: reading({
      operationId: 'modelReadyV1',
      tag: TAGS.v1,
      summary: 'KServe V1: whether the model is ready',
      schema: object({ name: { type: 'string' }, ready: { type: 'boolean' } }),
      unready,
    }),
    '/v2': reading({ operationId: 'serverMetadata', tag, summary: 'V2: the server', schema: SERVER_METADATA }),
    '/v2/health/live': reading({
      operationId: 'serverLive',
      tag,
      summary: 'V2: whether the server lives',
      schema: object({ live: { type: 'boolean' } }),
    }),
    '/v2/health/ready': reading({
      operationId: 'serverReady',
      tag,
      summary: 'V2: whether the server is ready',
      schema: ready,
      unready,
    }),
    ...ofModel(path, ''),
    ...ofModel(versionPath, 'ByVersion'),
  }
}

const TEXTS: Schema = { type: 'array', items: { type: 'string' } }

const SERVER_METADATA = object({ name: { type: 'string' }, version: { type: 'string' }, extensions: TEXTS })

const TENSORS_METADATA: Schema = { type: 'array', items: schemaRef('TensorMetadata') }

const MODEL_METADATA = object({
  name: { type: 'string' },
  versions: TEXTS,
  platform: { type: 'string' },
  inputs: TENSORS_METADATA,
  outputs: TENSORS_METADATA,
  parameters: {
    type: 'object',
    description: 'The revision and the sha256 of the model file, its features and classes.',
  },
})

function watchingPaths({ model }: Described): Paths {
  const tag = TAGS.watching
  return {
    ...(model.signature.kind === 'tabular' && { '/feedback': { post: FEEDBACK } }),
    '/report': reading({
      operationId: 'report',
      tag,
      summary: 'Drift and quality as a page with plots',
      type: 'text/html',
    }),
    '/penstock/drift': reading({
      operationId: 'drift',
      tag,
      summary: 'The same numbers as JSON',
      schema: DRIFT,
    }),
    '/metrics': reading({
      operationId: 'metrics',
      tag,
      summary: 'Prometheus metrics',
      type: 'text/plain',
    }),
    [EVIDENCE_PATH]: reading({
      operationId: 'evidence',
      tag,
      summary: 'Counters by traffic plan, which the operator’s gates judge',
      schema: EVIDENCE,
    }),
  }
}

const FEEDBACK: Operation = {
  operationId: 'feedback',
  tags: [TAGS.watching],
  summary: 'Tell the truth about an answer, found out later',
  description: 'Each answer counts once, so feedback may be repeated. A batch takes labels, one for each of its rows.',
  requestBody: { required: true, content: { 'application/json': { schema: schemaRef('FeedbackRequest') } } },
  responses: {
    '200': { description: 'Taken.', content: { 'application/json': { schema: schemaRef('FeedbackAnswer') } } },
    ...errorResponses('Error', new Set(['not_found'])),
    ...errorResponsesOfBodies('Error'),
  },
}

const COUNT: Schema = { type: 'integer', minimum: 0 }

const DRIFT: Schema = {
  type: 'object',
  properties: {
    seen: { ...COUNT, description: 'Rows of the window.' },
    sampled: { ...COUNT, description: 'Those of them that were compared.' },
    minRows: { ...COUNT, description: 'Rows below which nothing is said about drift.' },
    threshold: { type: 'number', description: 'A feature has drifted when its score is this or more.' },
    hasProfile: { type: 'boolean', description: 'Whether there is a reference to compare with.' },
    driftedShare: { type: 'number', description: 'Share of the features that drifted.' },
    drifted: { type: 'boolean' },
    features: { type: 'array', items: { type: 'object' } },
    prediction: { type: 'object' },
    quality: { type: 'object', properties: { count: COUNT }, required: ['count'] },
  },
  required: ['seen', 'sampled', 'minRows', 'threshold', 'hasProfile', 'features', 'quality'],
}

const EVIDENCE = object({
  instance: { type: 'string' },
  revision: { type: 'string' },
  version: { type: 'string' },
  sha256: { type: 'string' },
  ready: { type: 'boolean' },
  planId: COUNT,
  breaker: { enum: ['closed', 'open', 'half-open'] },
  directRequests: COUNT,
  relayedIn: COUNT,
  answers: { type: 'object', description: 'By revision.', additionalProperties: { type: 'object' } },
})

function aboutPaths(): Paths {
  const tag = TAGS.about
  const route = object({ method: { type: 'string' }, path: { type: 'string' }, summary: { type: 'string' } })
  const others = errorResponses('Error', new Set(['model_not_loaded']))
  return {
    '/': reading({
      operationId: 'index',
      tag,
      summary: 'What there is',
      schema: object({ routes: { type: 'array', items: route } }),
    }),
    [OPENAPI_PATH]: reading({
      operationId: 'openapi',
      tag,
      summary: 'This document',
      schema: { type: 'object' },
      others,
    }),
    [DOCS_PATH]: reading({
      operationId: 'docs',
      tag,
      summary: 'This document as a page, where each request can be tried',
      type: 'text/html',
      unready: 'The model is not loaded yet; the page loads itself again.',
    }),
  }
}
