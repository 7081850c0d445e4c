/** For tests only: reads a served document as its users' tools do. */
import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { get } from '../testing.ts'
import type { Described, DescribedServer } from './described.ts'

export interface OpenApi {
  readonly info: { readonly title: string; readonly version: string; readonly description: string }
  readonly paths: Readonly<Record<string, Readonly<Partial<Record<'get' | 'post', Operation>>>>>
  readonly 'x-penstock': { readonly revision: string; readonly limits: Readonly<Record<string, number>> }
  readonly components: {
    readonly schemas: Readonly<Record<string, unknown>>
    readonly responses: Readonly<Record<string, Answer>>
    readonly examples: Readonly<Record<string, { readonly value: unknown }>>
  }
}

interface Operation {
  readonly operationId: string
  readonly security?: readonly unknown[]
  readonly requestBody?: { readonly content: Contents }
  readonly responses: Readonly<Record<string, Answer | Reference>>
}

interface Answer {
  readonly description: string
  readonly content?: Contents
}

type Contents = Readonly<Record<string, { readonly schema?: unknown; readonly examples?: Record<string, Reference> }>>

interface Reference {
  readonly $ref: string
}

export async function documentOf(url: string): Promise<OpenApi> {
  const { status, json } = await get(`${url}/openapi.json`)
  if (status !== 200) throw new Error(`The document was answered with ${status}.`)
  return json as OpenApi
}

const validator = new Validator()

/** What is wrong with a document by the schema of OpenAPI, which is compiled once; undefined when nothing is. */
export async function openApiFault(document: OpenApi): Promise<unknown> {
  const { valid, errors } = await validator.validate(structuredClone({ ...document }))
  return valid ? undefined : (errors ?? 'no words for it')
}

/** What a client can find out from the document alone. */
export class Reader {
  readonly document: OpenApi
  readonly #ajv = new Ajv2020({
    allErrors: true,
    strict: true,
    strictRequired: false,
    strictTypes: false,
    validateFormats: false,
  })

  constructor(document: OpenApi) {
    this.document = document
    this.#ajv.addVocabulary(['openapi', 'info', 'servers', 'tags', 'paths', 'components', 'x-penstock'])
    this.#ajv.addSchema(document, 'openapi')
  }

  /** The examples of a request, resolved. */
  examplesOf(path: string): unknown[] {
    const { examples = {} } = this.#operation(path, 'post').requestBody?.content['application/json'] ?? {}
    return Object.values(examples).map(({ $ref }) => (this.#at($ref) as { readonly value: unknown }).value)
  }

  /** What is wrong with a request's body by its schema; undefined when it is right. */
  requestFault(path: string, body: unknown): string | undefined {
    return this.#faultOf(`${pointer(path)}/post/requestBody/content/application~1json/schema`, body)
  }

  /** What is wrong with an answer: a status that is not documented, or a body of another form. */
  answerFault(
    path: string,
    method: 'get' | 'post',
    { status, json }: { status: number; json: unknown },
  ): string | undefined {
    const answer = this.#operation(path, method).responses[status]
    if (answer === undefined) return `${status} is not documented for ${path}`
    const at = '$ref' in answer ? answer.$ref.slice(1) : `${pointer(path)}/${method}/responses/${status}`
    return this.#faultOf(`${at}/content/application~1json/schema`, json)
  }

  #operation(path: string, method: 'get' | 'post'): Operation {
    const operation = this.document.paths[path]?.[method]
    if (operation === undefined) throw new Error(`${method} ${path} is not documented.`)
    return operation
  }

  #faultOf(at: string, value: unknown): string | undefined {
    const validate = this.#ajv.getSchema(`openapi#${at}`) as ValidateFunction | undefined
    if (validate === undefined) throw new Error(`There is no schema at ${at}.`)
    return validate(value) ? undefined : this.#ajv.errorsText(validate.errors)
  }

  #at(reference: string): unknown {
    return reference
      .slice(2)
      .split('/')
      .reduce<unknown>((value, name) => (value as Record<string, unknown>)[name], this.document)
  }
}

function pointer(path: string): string {
  return `/paths/${encodeURIComponent(path.replaceAll('~', '~0').replaceAll('/', '~1'))}`
}

/** A described model of rows that does not exist, with one feature and class of the given name. */
export function describedModel({ name, ...changes }: Partial<DescribedServer> & { readonly name: string }): Described {
  const tensor = { name, datatype: 'FP32', shape: [-1, 1] }
  return {
    modelName: 'm',
    modelVersion: '1',
    serverVersion: '0.0.0',
    revision: 'r',
    maxInstances: 10,
    maxBodyBytes: 1000,
    batching: { maxQueuedRows: 10, deadlineMs: 10 },
    profile: undefined,
    model: {
      sha256: 'abc',
      contract: { inputs: [tensor], outputs: [tensor], opsets: {}, irVersion: 10, rewrites: [] },
      signature: {
        kind: 'tabular',
        task: 'classification',
        features: [{ name, datatype: 'FP32' }],
        featureCount: 1,
        blocks: [{ input: name, datatype: 'FP32', width: 1, rank: 2 }],
        prediction: { output: name, datatype: 'BYTES' },
        classLabels: [name],
      },
    },
    examples: { rows: [{ row: [1], prediction: { prediction: name, probability: null } }] },
    ...changes,
  }
}
