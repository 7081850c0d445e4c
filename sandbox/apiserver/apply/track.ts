import { listAt, objectAt, type KubeObject } from '../json.ts'
import { apiVersionOf, type ResourceType } from '../kinds/resource-type.ts'
import { FieldSet } from './field-set.ts'
import { fieldsLastApplied, KUBECTL, withLastApplied } from './last-applied.ts'
import { identityOf, readManagedFields, withManagedFields, type Managed, type ManagedFields } from './managers.ts'
import { fieldSetOf } from './typed.ts'
import { applyConfiguration, managersAfterUpdate, type Writing } from './updater.ts'

export interface TrackedUpdate {
  readonly type: ResourceType
  readonly live: KubeObject
  readonly object: KubeObject
  readonly manager: { readonly name: string; readonly subresource: string }
  readonly now: string
}

/** More updaters than this are merged into one, oldest first. */
const MAX_UPDATERS = 10
const ANCIENT = 'ancient-changes'

/** Records in managedFields what an update changed. */
export function trackUpdate(update: TrackedUpdate): KubeObject {
  const { live, object } = update
  const managed = managersToStartFrom(live, object)
  if (managed === undefined) return withManagedFields(object, new Map())
  const after = managersAfterUpdate(live, object, managed, writingOf(update, 'Update'))
  return withManagedFields(object, capped(after))
}

/**
 * The managers that the sent object names, so that clients can edit managedFields; an object sent without the field leaves
 * them as they are, and one sent with `[{}]` resets them.
 */
function managersToStartFrom(live: KubeObject, object: KubeObject): ManagedFields | undefined {
  const sent = object.metadata['managedFields']
  const isNew = live.metadata['uid'] === undefined
  if (Array.isArray(sent) && sent.length > 0 && !isNew) {
    const managed = readManagedFields(object)
    return managed.size > 0 ? managed : undefined
  }
  const managed = readManagedFields(live)
  return managed.size > 0 || isNew ? managed : undefined
}

function writingOf(update: Omit<TrackedUpdate, 'live' | 'object'>, operation: 'Apply' | 'Update'): Writing {
  const { type, manager, now } = update
  return {
    structure: type.structure,
    ignored: ignoredBy(type, manager.subresource),
    manager: { name: manager.name, operation, subresource: manager.subresource, apiVersion: apiVersionOf(type) },
    now,
  }
}

function ignoredBy(type: ResourceType, subresource: string): FieldSet {
  const { resetFields } = type.strategy
  const fields = subresource === 'status' ? resetFields.status : resetFields.main
  return FieldSet.of(...fields.map((field) => [`f:${field}`]))
}

/** Applies a configuration to the live object (blank for a new one), and records the managers. */
export function trackApply(apply: Omit<TrackedUpdate, 'object'> & { config: KubeObject; force: boolean }): KubeObject {
  const { live, config, force } = apply
  const isKubectl = apply.manager.name === KUBECTL
  const mayTake = isKubectl ? fieldsLastApplied(live, apply.type.structure) : new FieldSet()
  const writing = { ...writingOf(apply, 'Apply'), force, mayTake }
  const { object, managers } = applyConfiguration(live, config, withUnmanaged(live, writing), writing)
  return withManagedFields(isKubectl ? withLastApplied(object, config) : object, managers)
}

/** What an object already held when its managers were first recorded belongs to a manager of its own. */
function withUnmanaged(live: KubeObject, writing: Writing): Map<string, Managed> {
  const managed = readManagedFields(live)
  if (managed.size > 0 || live.metadata['uid'] === undefined) return managed
  const before = {
    name: 'before-first-apply',
    operation: 'Update' as const,
    subresource: '',
    apiVersion: writing.manager.apiVersion,
  }
  const fields = fieldSetOf(live, writing.structure).without(writing.ignored)
  return managed.set(identityOf(before), { ...before, fields, time: writing.now })
}

function capped(managed: ManagedFields): ManagedFields {
  const updaters = [...managed.values()].filter(
    ({ operation, subresource }) => operation === 'Update' && subresource === '',
  )
  if (updaters.length <= MAX_UPDATERS) return managed
  const oldest = updaters.sort((a, b) => (a.time < b.time ? -1 : 1)).slice(0, updaters.length - MAX_UPDATERS + 1)
  const result = new Map(managed)
  for (const each of oldest) result.delete(identityOf(each))
  for (const apiVersion of new Set(oldest.map((each) => each.apiVersion))) {
    const merged = oldest.filter((each) => each.apiVersion === apiVersion)
    const fields = merged.reduce((union, each) => union.union(each.fields), new FieldSet())
    const ancient: Managed = {
      name: ANCIENT,
      operation: 'Update',
      subresource: '',
      apiVersion,
      fields,
      time: merged.at(-1)?.time ?? '',
    }
    result.set(identityOf(ancient), ancient)
  }
  return result
}

export function hasManagedFields(object: KubeObject): boolean {
  return listAt(objectAt(object, 'metadata'), 'managedFields').length > 0
}
