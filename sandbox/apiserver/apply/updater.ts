/**
 * Who manages what after a write: the rules of server-side apply (KEP-555). An update takes over what it changes; an apply owns what its
 * configuration sets, conflicts where others manage a field it changes, and removes what it set before and nobody else manages.
 */
import { equal, type Json, type JsonObject, type KubeObject } from '../json.ts'
import type { FieldType } from '../structure/field-type.ts'
import { applyConflict, type Conflict } from './conflicts.ts'
import { FieldSet } from './field-set.ts'
import { identityOf, type Managed, type ManagedFields, type Manager } from './managers.ts'
import { compare, fieldSetOf, merge, removeFields, withNamedFields, type Comparison } from './typed.ts'

/** Fields that are the server's own, and so nobody's. */
const SYSTEM_FIELDS = FieldSet.of(
  ['f:apiVersion'],
  ['f:kind'],
  ['f:metadata'],
  ...[
    'name',
    'namespace',
    'creationTimestamp',
    'selfLink',
    'uid',
    'clusterName',
    'generation',
    'managedFields',
    'resourceVersion',
  ].map((field) => ['f:metadata', `f:${field}`]),
)

export interface Writing {
  readonly structure: FieldType
  /** Fields that the endpoint does not write. */
  readonly ignored: FieldSet
  readonly manager: Manager
  readonly now: string
}

/** The managers after an update from `live` to `object`. */
export function managersAfterUpdate(
  live: KubeObject,
  object: KubeObject,
  managed: ManagedFields,
  writing: Writing,
): ManagedFields {
  const changes = without(compare(bare(live), bare(object), writing.structure), writing.ignored)
  const identity = identityOf(writing.manager)
  const { managers } = settle(changes, managed, undefined)
  const own = managers.get(identity)?.fields ?? new FieldSet()
  const fields = own.difference(changes.removed).union(changes.modified).union(changes.added)
  const before = managed.get(identity)
  const cleaned = stripSystemFields(
    new Map(managers).set(identity, { ...writing.manager, fields, time: before?.time ?? writing.now }),
  )
  const after = cleaned.get(identity)
  if (after && !(before && after.fields.equals(before.fields))) cleaned.set(identity, { ...after, time: writing.now })
  return cleaned
}

export interface Applied {
  readonly object: KubeObject
  readonly managers: ManagedFields
}

/** Applies a configuration. Throws 409 on conflicts unless forced, NotMergeable for lists that cannot be merged. */
export function applyConfiguration(
  live: KubeObject,
  config: KubeObject,
  managed: ManagedFields,
  writing: Writing & Forcing,
): Applied {
  const { structure, ignored, manager, now } = writing
  const [current, wanted] = [bare(live), bare(config)]
  const identity = identityOf(manager)
  const before = managed.get(identity)
  const claimed = fieldSetOf(wanted, structure).without(ignored)
  const claims = new Map(managed).set(identity, { ...manager, fields: claimed, time: before?.time ?? now })
  const merged = merge(current, wanted, structure) ?? {}
  const pruned = before ? prune(merged, claims, before.fields, structure) : merged
  const changes = without(compare(current, pruned, structure), ignored)
  const { managers, conflicts } = settle(changes, claims, identity)
  if (!writing.force) refuseConflicts(conflicts, writing.mayTake)
  const cleaned = stripSystemFields(managers)
  const own = cleaned.get(identity)
  const changed = !equal(current, pruned) || !before || !own?.fields.equals(before.fields)
  if (own && changed) cleaned.set(identity, { ...own, time: now })
  return { object: pruned as KubeObject, managers: cleaned }
}

/** Either everything may be taken from other managers, or just these fields. */
export interface Forcing {
  readonly force: boolean
  readonly mayTake: FieldSet
}

function refuseConflicts(conflicts: readonly Conflict[], mayTake: FieldSet): void {
  const left = conflicts.map(({ manager, fields }) => ({ manager, fields: fields.difference(mayTake) }))
  const real = left.filter(({ fields }) => !fields.isEmpty())
  if (real.length > 0) throw applyConflict(real)
}

interface Settled {
  readonly managers: Map<string, Managed>
  readonly conflicts: readonly Conflict[]
}

/** Takes changed and removed fields from every manager but the applier; what that took by changing is a conflict. */
function settle(changes: Comparison, managed: ManagedFields, applier: string | undefined): Settled {
  const managers = new Map<string, Managed>()
  const conflicts: Conflict[] = []
  const touched = changes.modified.union(changes.added)
  for (const [identity, manager] of managed) {
    if (identity === applier) {
      managers.set(identity, manager)
      continue
    }
    const taken = manager.fields.intersection(touched)
    if (!taken.isEmpty()) conflicts.push({ manager, fields: taken })
    const fields = manager.fields.difference(taken).difference(changes.removed)
    if (!fields.isEmpty()) managers.set(identity, { ...manager, fields })
  }
  return { managers, conflicts }
}

/** Removes what the applier set last time and does not set now, unless somebody else manages it. */
function prune(merged: Json, claims: ManagedFields, lastApplied: FieldSet, structure: FieldType): Json {
  const named = (set: FieldSet): FieldSet => withNamedFields(set, structure)
  const all = named(fieldSetOf(merged, structure))
  const pruned = removeFields(merged, named(lastApplied), structure) ?? {}
  const claimed = [...claims.values()].reduce((union, { fields }) => union.union(fields), new FieldSet())
  const kept = named(fieldSetOf(pruned, structure)).union(named(claimed))
  const withOwned = removeFields(merged, all.difference(kept), structure) ?? {}
  const left = named(fieldSetOf(withOwned, structure))
  return removeFields(merged, all.difference(left).intersection(named(lastApplied)), structure) ?? {}
}

function without(changes: Comparison, ignored: FieldSet): Comparison {
  return {
    added: changes.added.without(ignored),
    modified: changes.modified.without(ignored),
    removed: changes.removed.without(ignored),
  }
}

function stripSystemFields(managers: ReadonlyMap<string, Managed>): Map<string, Managed> {
  const stripped = new Map<string, Managed>()
  for (const [identity, manager] of managers) {
    const fields = manager.fields.difference(SYSTEM_FIELDS)
    if (!fields.isEmpty()) stripped.set(identity, { ...manager, fields })
  }
  return stripped
}

/** The object without managedFields, which manages itself. */
function bare(object: KubeObject): JsonObject {
  const { managedFields: _managedFields, ...metadata } = object.metadata
  return { ...object, metadata }
}
