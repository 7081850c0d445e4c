import type { ModelDeploymentSpec } from '../../api/resource.ts'
import type { SpecProblem } from '../spec-problems.ts'
import { LISTS_OF_NAMED, MERGE_KEYS, isObject } from './merge-template.ts'

/**
 * What keeps a user's partial pod template from being merged over ours: the schema lets any JSON through there. Whether Kubernetes
 * knows its fields is the API server's to say.
 */
export function templateProblems({ server }: ModelDeploymentSpec): SpecProblem[] {
  const template: Json = server?.podTemplate
  if (template === undefined) return []
  const path = 'spec.server.podTemplate'
  if (!isObject(template)) return [mustBe(path, 'an object', template)]
  return [
    ...metadataProblems(`${path}.metadata`, template.metadata),
    ...('spec' in template ? podProblems(`${path}.spec`, template.spec) : []),
  ]
}

type Json = unknown

function metadataProblems(path: string, metadata: Json): SpecProblem[] {
  if (isAbsent(metadata)) return []
  if (!isObject(metadata)) return [mustBe(path, 'an object', metadata)]
  return (['labels', 'annotations'] as const).flatMap((field) => textProblems(`${path}.${field}`, metadata[field]))
}

/** `null` removes one, as everywhere in a template. */
function textProblems(path: string, texts: Json): SpecProblem[] {
  if (isAbsent(texts)) return []
  if (!isObject(texts)) return [mustBe(path, 'an object', texts)]
  return Object.entries(texts)
    .filter(([, text]) => text !== null && typeof text !== 'string')
    .map(([key, text]) => mustBe(`${path}["${key}"]`, 'a string', text))
}

/** Law: a pod spec may be changed, but not taken away, as the server is in it. */
function podProblems(path: string, spec: Json): SpecProblem[] {
  if (!isObject(spec)) return [mustBe(path, 'an object', spec)]
  return Object.entries(spec).flatMap(([field, value]) => listProblems(`${path}.${field}`, field, value))
}

function listProblems(path: string, field: string, list: Json): SpecProblem[] {
  const isContainers = field === 'containers'
  if (!Object.hasOwn(MERGE_KEYS, field) || list === undefined || (list === null && !isContainers)) return []
  if (!Array.isArray(list)) return [mustBe(path, 'a list', list)]
  return list.flatMap((item: Json, index) => itemProblems(`${path}[${index}]`, field, item))
}

function itemProblems(path: string, field: string, item: Json): SpecProblem[] {
  if (!isObject(item)) return [mustBe(path, 'an object', item)]
  const unnamed =
    LISTS_OF_NAMED.includes(field) && typeof item.name !== 'string'
      ? [mustBe(`${path}.name`, 'a string', item.name)]
      : []
  return [
    ...unnamed,
    ...Object.entries(item).flatMap(([inner, value]) => listProblems(`${path}.${inner}`, inner, value)),
  ]
}

function isAbsent(value: Json): boolean {
  return value === undefined || value === null
}

function mustBe(field: string, wanted: string, found: Json): SpecProblem {
  return { field, message: `${field} must be ${wanted}, not ${describe(found)}` }
}

function describe(value: Json): string {
  if (value === undefined) return 'absent'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  return isObject(value) ? 'an object' : `a ${typeof value}`
}
