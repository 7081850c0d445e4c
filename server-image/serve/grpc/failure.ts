import { Code, ConnectError } from '@connectrpc/connect'
import type { Answer } from '../answer.ts'
import type { ApiError } from '../api-error.ts'

/** Statuses of the REST routes in the words of gRPC (github.com/grpc/grpc, doc/statuscodes.md). */
const CODE_OF_STATUS: Readonly<Record<number, Code>> = {
  400: Code.InvalidArgument,
  401: Code.Unauthenticated,
  404: Code.NotFound,
  413: Code.ResourceExhausted,
  415: Code.InvalidArgument,
  422: Code.InvalidArgument,
  429: Code.ResourceExhausted,
  503: Code.Unavailable,
}

/** A status for the client. What it quotes of the client's words may be cut in the middle of a character. */
export function refusal(message: string, code: Code): ConnectError {
  return new ConnectError(message.toWellFormed(), code)
}

/** What a client is told of an answer that is none. */
export function failureOf({ status, body }: Answer): ConnectError {
  const { error, code } = JSON.parse(String(body)) as { error: string; code: string }
  return refusal(error, code === 'deadline_exceeded' ? Code.DeadlineExceeded : codeOf(status))
}

export function failureOfError(error: ApiError): ConnectError {
  return refusal(error.message, codeOf(error.status))
}

function codeOf(status: number): Code {
  return CODE_OF_STATUS[status] ?? Code.Internal
}
