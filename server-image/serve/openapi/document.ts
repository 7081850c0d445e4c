/**
 * The OpenAPI 3.1 document of one loaded model: its own features, tensors and classes, examples that it was seen to answer, every error,
 * and the limits of this server.
 */
import { MAX_HEADER_BYTES } from '../http/limits.ts'
import { MAX_DEPTH } from '../json/json-body.ts'
import { guardedPaths, securitySchemes } from './access.ts'
import type { Described } from './described.ts'
import { ERROR_SCHEMAS, errorComponents } from './errors.ts'
import {
  ANSWER_HEADERS,
  LINKS,
  REQUEST_PARAMETERS,
  TAGS,
  inferenceExamples,
  inferencePaths,
} from './inference-operations.ts'
import type { Paths } from './operation.ts'
import { rowSchemas, type Schemas } from './row-schemas.ts'
import { serverPaths } from './server-operations.ts'
import { tensorSchemas } from './tensor-schemas.ts'
import type { Schema } from './value-schema.ts'

/** An OpenAPI Object, as far as others look into it. */
export interface OpenApiDocument {
  readonly paths: Paths
  readonly components: Schema & { readonly schemas: Schemas }
}

export function openApiDocument(described: Described): OpenApiDocument & Schema {
  const { modelName, modelVersion, revision, model } = described
  const { signature, contract, sha256 } = model
  const isTabular = signature.kind === 'tabular'
  const schemes = securitySchemes(described)
  const isGuarded = Object.keys(schemes).length > 0
  const paths = { ...inferencePaths(described), ...serverPaths(described) }
  return {
    openapi: '3.1.0',
    info: {
      title: `${modelName} on Penstock`,
      version: modelVersion,
      summary: `Predictions of the model ${modelName}`,
      description: descriptionOf(described),
    },
    servers: [{ url: '/' }],
    tags: Object.values(TAGS)
      .filter((name) => isTabular || name !== TAGS.rows)
      .map((name) => ({ name })),
    paths: isGuarded ? guardedPaths(paths, schemes) : paths,
    components: {
      schemas: {
        ...(isTabular && rowSchemas({ ...described, signature })),
        ...tensorSchemas(contract, described.maxInstances),
        ...ERROR_SCHEMAS,
      },
      examples: inferenceExamples(described),
      responses: errorComponents(),
      headers: ANSWER_HEADERS,
      parameters: REQUEST_PARAMETERS,
      ...(isTabular && { links: LINKS }),
      ...(isGuarded && { securitySchemes: schemes }),
    },
    'x-penstock': {
      revision,
      sha256,
      limits: Object.fromEntries(limitsOf(described).map(({ name, value }) => [name, value])),
    },
  }
}

function descriptionOf({ model: { signature }, revision, modelVersion }: Described): string {
  const parts = [
    `Made from the model that is loaded: version ${modelVersion}, revision ${revision}.`,
    'While another revision is rolled out, a share of the answers comes from it; the header x-penstock-revision names the one that computed each.',
  ]
  if (signature.kind === 'none')
    parts.push(`This model is asked by tensors only, as it has no rows of features: ${signature.reason}`)
  return parts.join(' ')
}

export interface Limit {
  readonly name: string
  readonly value: number
  readonly meaning: string
}

export function limitsOf({ maxInstances, maxBodyBytes, batching }: Described): Limit[] {
  return [
    { name: 'rowsPerRequest', value: maxInstances, meaning: 'rows in one request' },
    { name: 'bodyBytes', value: maxBodyBytes, meaning: 'bytes of a request’s body' },
    { name: 'headerBytes', value: MAX_HEADER_BYTES, meaning: 'bytes of a request’s line and headers' },
    { name: 'jsonDepth', value: MAX_DEPTH, meaning: 'levels of brackets in JSON' },
    { name: 'queuedRows', value: batching.maxQueuedRows, meaning: 'rows that may wait for the model' },
    { name: 'deadlineMs', value: batching.deadlineMs, meaning: 'milliseconds that a request may wait for the model' },
  ]
}
