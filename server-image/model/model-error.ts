import type { ResolveFailureReason } from '../../protocol/resolve.ts'

/** Why a model file cannot be served: `reason` for machines, a one-line message that ends in what to do for people. */
export class ModelError extends Error {
  readonly reason: ResolveFailureReason

  constructor(reason: ResolveFailureReason, message: string, options?: ErrorOptions) {
    super(oneLine(message), options)
    this.name = 'ModelError'
    this.reason = reason
  }
}

const MAX_QUOTED_CHARACTERS = 80

/** A name that a model's author chose, made safe to show: quoted, escaped and cut. */
export function quoted(name: string): string {
  return JSON.stringify(name.length > MAX_QUOTED_CHARACTERS ? `${name.slice(0, MAX_QUOTED_CHARACTERS)}…` : name)
}

/** Text of any origin as one printable line of at most `maxCharacters`. */
export function oneLine(text: string, maxCharacters = 600): string {
  const line = text
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ')
    .replace(/ {2,}/g, ' ')
    .trim()
  return line.length > maxCharacters ? `${line.slice(0, maxCharacters - 1)}…` : line
}
