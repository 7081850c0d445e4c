/** managedFields: who manages which fields, as metadata carries it. */
import { isObject, objectsAt, stringAt, type JsonObject, type KubeObject } from '../json.ts'
import { FieldSet } from './field-set.ts'

export interface Manager {
  readonly name: string
  readonly operation: 'Apply' | 'Update'
  readonly subresource: string
  readonly apiVersion: string
}

export interface Managed extends Manager {
  readonly fields: FieldSet
  readonly time: string
}

/** Managers by identity: an applier is itself across versions, an updater is one per version. */
export type ManagedFields = ReadonlyMap<string, Managed>

export function identityOf(manager: Manager): string {
  const version = manager.operation === 'Update' ? manager.apiVersion : ''
  return JSON.stringify([manager.name, manager.operation, manager.subresource, version])
}

export function readManagedFields(object: KubeObject): Map<string, Managed> {
  const managed = new Map<string, Managed>()
  for (const entry of objectsAt(object, 'metadata', 'managedFields')) {
    const manager: Managed = {
      name: stringAt(entry, 'manager') ?? '',
      operation: entry['operation'] === 'Apply' ? 'Apply' : 'Update',
      subresource: stringAt(entry, 'subresource') ?? '',
      apiVersion: stringAt(entry, 'apiVersion') ?? '',
      time: stringAt(entry, 'time') ?? '',
      fields: FieldSet.parse(entry['fieldsV1']),
    }
    if (isObject(entry['fieldsV1'])) managed.set(identityOf(manager), manager)
  }
  return managed
}

/** The object with these managers recorded: appliers first, then by time and name. */
export function withManagedFields(object: KubeObject, managed: ManagedFields): KubeObject {
  const entries = [...managed.values()]
    .filter(({ fields }) => !fields.isEmpty())
    .sort(inOrder)
    .map(toEntry)
  const { managedFields: _old, ...metadata } = object.metadata
  return {
    ...object,
    metadata: { ...metadata, name: object.metadata.name, ...(entries.length > 0 ? { managedFields: entries } : {}) },
  }
}

function inOrder(left: Managed, right: Managed): number {
  if (left.operation !== right.operation) return left.operation === 'Apply' ? -1 : 1
  if (left.time !== right.time) return left.time < right.time ? -1 : 1
  if (left.name !== right.name) return left.name < right.name ? -1 : 1
  return left.subresource < right.subresource ? -1 : 1
}

function toEntry(managed: Managed): JsonObject {
  return {
    manager: managed.name,
    operation: managed.operation,
    apiVersion: managed.apiVersion,
    time: managed.time,
    fieldsType: 'FieldsV1',
    fieldsV1: managed.fields.toFieldsV1(),
    ...(managed.subresource ? { subresource: managed.subresource } : {}),
  }
}
