import type { ApiRequest } from '../http/api-request.ts'
import { objectAt, type KubeObject } from '../json.ts'
import { parseFieldSelector } from '../selectors/fields.ts'
import { parseLabelSelector } from '../selectors/labels.ts'

export type Selection = (object: KubeObject) => boolean

/** What the namespace, name and selectors of a list, watch or deletecollection let through. */
export function selectionOf(request: ApiRequest): Selection {
  const labels = parseLabelSelector(request.query.get('labelSelector') ?? '')
  const fields = parseFieldSelector(request.query.get('fieldSelector') ?? '', request.type)
  const { namespace, name } = request
  return (object) =>
    (!namespace || object.metadata['namespace'] === namespace) &&
    (!name || object.metadata.name === name) &&
    labels(objectAt(object, 'metadata', 'labels') ?? {}) &&
    fields(object)
}

/** The object as this version of the resource shows it. */
export function served(request: ApiRequest, stored: KubeObject): KubeObject {
  const { strategy, convert } = request.type
  const object = strategy.onRead ? strategy.onRead(stored) : stored
  return convert ? convert.fromStored(object) : object
}
