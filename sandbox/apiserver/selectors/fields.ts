import type { KubeObject } from '../json.ts'
import { placeOf } from '../store.ts'
import { badRequest } from '../status.ts'
import type { ResourceType } from '../kinds/resource-type.ts'

export type ObjectPredicate = (object: KubeObject) => boolean

/** Parses a field selector, `status.phase=Running,spec.nodeName!=`, against the fields that a resource offers. Throws 400. */
export function parseFieldSelector(text: string, type: ResourceType): ObjectPredicate {
  if (text === '') return () => true
  const terms = text.split(/(?<!\\),/).map((term) => parseTerm(term, type))
  return (object) => terms.every((matches) => matches(object))
}

function parseTerm(term: string, type: ResourceType): ObjectPredicate {
  const match = /^([^=!]+)(!=|==|=)(.*)$/.exec(term)
  if (!match) throw badRequest(`invalid field selector: invalid selector: '${term}'; can't understand '${term}'`)
  const [, field = '', operator, raw = ''] = match
  const value = raw.replaceAll(/\\([,=\\])/g, '$1')
  const read = readerOf(field, type)
  return operator === '!=' ? (object) => read(object) !== value : (object) => read(object) === value
}

function readerOf(field: string, type: ResourceType): (object: KubeObject) => string {
  if (field === 'metadata.name') return (object) => object.metadata.name
  if (field === 'metadata.namespace') return (object) => placeOf(object).namespace
  const read = type.selectableFields[field]
  if (read) return read
  throw badRequest(refusalOf(field, type))
}

/** Each kind's own conversion words it: those without one share a default. */
function refusalOf(field: string, type: ResourceType): string {
  if (type.kind === 'Job') return `field label ${JSON.stringify(field)} not supported for Job`
  if (Object.keys(type.selectableFields).length > 0) return `field label not supported: ${field}`
  return `${JSON.stringify(field)} is not a known field selector: only "metadata.name", "metadata.namespace"`
}
