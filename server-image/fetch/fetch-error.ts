import type { ResolveFailure, ResolveFailureReason } from '../../protocol/resolve.ts'
import { ModelError, oneLine } from '../model/model-error.ts'

/** Why a file could not be fetched: `reason` for machines, a one-line message with the next step for people. Holds no credential. */
export class FetchError extends Error {
  readonly reason: ResolveFailureReason

  constructor(reason: ResolveFailureReason, message: string, options?: ErrorOptions) {
    super(oneLine(message), options)
    this.name = 'FetchError'
    this.reason = reason
  }
}

/** The one place that turns what went wrong into what the operator is told. */
export function toFailure(error: unknown): ResolveFailure {
  if (error instanceof FetchError || error instanceof ModelError) {
    return { ok: false, reason: error.reason, message: error.message }
  }
  const why = error instanceof Error ? error.message : String(error)
  return {
    ok: false,
    reason: 'Interrupted',
    message: oneLine(`The fetch stopped unexpectedly: ${why}. Look at its log.`),
  }
}
