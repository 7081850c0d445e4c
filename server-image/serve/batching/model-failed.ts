import { oneLine } from '../../model/model-error.ts'
import { ApiError } from '../api-error.ts'

const MAX_CHARACTERS = 200

/** The model could not compute an answer to a request that looks right: ONNX Runtime's words, short and on one line. */
export function modelFailed(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  const why = oneLine(error instanceof Error ? error.message : String(error), MAX_CHARACTERS)
  return new ApiError('model_failed', `The model failed on this input: ${why}`)
}
