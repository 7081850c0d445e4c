import type { Schema } from './value-schema.ts'

/** An Operation Object of OpenAPI. */
export interface Operation {
  readonly operationId: string
  readonly tags: readonly string[]
  readonly summary: string
  readonly description?: string
  readonly parameters?: readonly Schema[]
  readonly requestBody?: Schema
  /** Empty when nothing is wanted; left out when nothing ever is. */
  readonly security?: readonly Schema[]
  readonly responses: Readonly<Record<string, Schema>>
}

/** Paths as they look in a request: the model's name is a part of some, and nothing in them is a template. */
export type Paths = Readonly<Record<string, { readonly get: Operation } | { readonly post: Operation }>>
