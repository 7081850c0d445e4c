import { applyPatch, type Operation } from 'rfc6902'
import { clone, isObject, type Json, type JsonObject } from '../json.ts'
import { ApiError, badRequest } from '../status.ts'

const MAX_OPERATIONS = 10_000

/** RFC 6902. Throws 400 for a patch that is none, 413 for a huge one, 422 for one that does not fit the object (a failed `test`). */
export function jsonPatch(target: JsonObject, patch: Json): JsonObject {
  if (!Array.isArray(patch))
    throw badRequest('error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch')
  if (patch.length > MAX_OPERATIONS) {
    const message = `The allowed maximum operations in a JSON patch is ${MAX_OPERATIONS}, got ${patch.length}`
    throw new ApiError(413, 'RequestEntityTooLarge', message)
  }
  const patched = clone(target)
  const operations = patch as unknown as Operation[]
  for (const operation of operations) {
    if (!isObject(operation) || !('op' in operation)) throw badRequest('error decoding patch: invalid operation')
    const [error] = applyPatch(patched, [operation])
    if (error) {
      throw new ApiError(422, 'Invalid', 'the server rejected our request due to an error in our request', {})
    }
  }
  return patched
}
