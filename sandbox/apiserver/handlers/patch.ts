import type { Cluster } from '../cluster.ts'
import { answer, type ApiRequest, type Reply } from '../http/api-request.ts'
import { parseDocument, parseObject } from '../http/body.ts'
import { isObject, type Json, type JsonObject, type KubeObject } from '../json.ts'
import { jsonPatch } from '../patch/json-patch.ts'
import { mergePatch } from '../patch/merge-patch.ts'
import { strategicMergePatch } from '../patch/strategic-merge-patch.ts'
import { UNTYPED } from '../structure/field-type.ts'
import { badRequest, unsupportedMediaType } from '../status.ts'
import { apply } from './apply.ts'
import { writeOptionsOf } from './options.ts'
import { decodeRequestObject, updateObject } from './write.ts'

const JSON_PATCH = 'application/json-patch+json'
const MERGE_PATCH = 'application/merge-patch+json'
const STRATEGIC = 'application/strategic-merge-patch+json'
const APPLY = 'application/apply-patch+yaml'

export function patch(cluster: Cluster, request: ApiRequest): Reply {
  if (request.mediaType === APPLY) return apply(cluster, request)
  const options = writeOptionsOf(request, 'PatchOptions')
  const change = patcherOf(request)
  const object = updateObject(cluster, request, (live) => decodeRequestObject(request, change(live), options), options)
  return answer(object)
}

/** What a patch request makes of the live object. */
export function patcherOf(request: ApiRequest): (live: KubeObject) => JsonObject {
  switch (request.mediaType) {
    case JSON_PATCH: {
      const operations = parseDocument(request.body, request.mediaType)
      return (live) => jsonPatch(live, operations)
    }
    case MERGE_PATCH: {
      const document = parseObject(request.body, request.mediaType)
      return (live) => objectOf(mergePatch(live, document))
    }
    case STRATEGIC: {
      const document = parseObject(request.body, request.mediaType)
      const { custom, structure } = request.type
      if (custom) throw unsupportedMediaType([JSON_PATCH, MERGE_PATCH, APPLY])
      return (live) => strategicMergePatch(live, document, request.subresource === 'scale' ? UNTYPED : structure)
    }
    default:
      throw unsupportedMediaType([JSON_PATCH, MERGE_PATCH, STRATEGIC, APPLY])
  }
}

function objectOf(value: Json): JsonObject {
  if (!isObject(value)) throw badRequest('the patch does not make an object')
  return value
}
