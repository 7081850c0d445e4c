import type { JsonObject } from '../json.ts'
import { ApiError } from '../status.ts'
import { pathText, type FieldSet } from './field-set.ts'
import type { Manager } from './managers.ts'

export interface Conflict {
  readonly manager: Manager
  readonly fields: FieldSet
}

/** 409 with every field that another manager has, worded as kubectl users know it. */
export function applyConflict(conflicts: readonly Conflict[]): ApiError {
  const found = conflicts.flatMap(({ manager, fields }) =>
    [...fields.paths()].map((path) => ({ who: describeManager(manager), path: pathText(path) })),
  )
  const causes = found.map(({ who, path }): JsonObject => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${who}`,
    field: path,
  }))
  return new ApiError(409, 'Conflict', messageOf(found), { causes })
}

function messageOf(found: readonly { who: string; path: string }[]): string {
  const [first] = found
  if (first && found.length === 1) return `Apply failed with 1 conflict: conflict with ${first.who}: ${first.path}`
  const managers = [...new Set(found.map(({ who }) => who))].sort()
  const lines = managers.flatMap((who) => [
    `conflicts with ${who}:`,
    ...found.filter((each) => each.who === who).map(({ path }) => `- ${path}`),
  ])
  return `Apply failed with ${found.length} conflicts: ${lines.join('\n')}`
}

function describeManager(manager: Manager): string {
  const subresource = manager.subresource ? ` with subresource ${JSON.stringify(manager.subresource)}` : ''
  const version = manager.operation === 'Update' ? ` using ${manager.apiVersion}` : ''
  return `${JSON.stringify(manager.name)}${subresource}${version}`
}
