import type { KubeObject } from './resource.ts'

/**
 * A set of fields as metadata.managedFields has it (FieldsV1): `f:<name>` is a field, `k:<json>` the element of a keyed list,
 * `v:<json>` a value of a set, `.` the thing itself.
 */
export type FieldSet = { readonly [segment: string]: FieldSet }

/** What one manager has applied; `subresource` is empty for the object itself. */
export interface Applied {
  readonly apiVersion: string
  readonly fields: FieldSet
}

/** The fields that this manager owns by server-side apply; undefined when it has applied none. */
export function appliedBy(object: KubeObject, manager: string, subresource = ''): Applied | undefined {
  const entry = object.metadata?.managedFields?.find(
    (each) => each.manager === manager && each.operation === 'Apply' && (each.subresource ?? '') === subresource,
  )
  if (entry?.fieldsV1 === undefined) return undefined
  return { apiVersion: entry.apiVersion ?? '', fields: entry.fieldsV1 as FieldSet }
}

/** The keyed elements of a list; undefined when the list is not a keyed one. */
export function keyedElements(fields: FieldSet): { segment: string; key: Record<string, unknown>; fields: FieldSet }[] {
  return Object.entries(fields).flatMap(([segment, inner]) =>
    segment.startsWith('k:')
      ? [{ segment, key: JSON.parse(segment.slice(2)) as Record<string, unknown>, fields: inner }]
      : [],
  )
}

/** The values of a set. */
export function setValues(fields: FieldSet): { segment: string; value: unknown }[] {
  return Object.keys(fields).flatMap((segment) =>
    segment.startsWith('v:') ? [{ segment, value: JSON.parse(segment.slice(2)) as unknown }] : [],
  )
}

/** True for a field that is owned as a whole: a scalar, or an atomic list or map. */
export function isWhole(fields: FieldSet): boolean {
  return Object.keys(fields).every((segment) => segment === '.')
}
