import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { JsonObject } from '../json.ts'
import {
  UNTYPED,
  type FieldSlot,
  type FieldType,
  type ScalarName,
  type StructType,
  type WhenEmpty,
} from './field-type.ts'

interface CompactSlot {
  t: string
  l?: string
  k?: string[]
  a?: 1
  p?: string
  m?: string
}

interface CompactStruct {
  f: Record<string, string | CompactSlot>
  r?: string[]
  a?: 1
}

/** The structures of built-in kinds by short name, e.g. `apps.v1.Deployment`. */
export interface BuiltinTypes {
  struct(name: string): StructType
  has(name: string): boolean
}

const SCALARS: Record<string, ScalarName> = {
  s: 'string',
  i: 'integer',
  n: 'number',
  b: 'boolean',
  I: 'int-or-string',
  q: 'quantity',
  t: 'time',
  y: 'bytes',
}

const WHEN_EMPTY: Record<string, WhenEmpty> = { '': 'dropped', '?': 'kept', '!': 'always' }

/** Key fields that Kubernetes' schemas give a default, so that a list item without them has a name all the same. */
const KEY_DEFAULTS: Record<string, JsonObject> = {
  '#core.v1.ContainerPort': { protocol: 'TCP' },
  '#core.v1.ServicePort': { protocol: 'TCP' },
}

/** Reads schemas/builtin-types.json (see scripts/generate-sandbox-schemas.ts for its form). */
export function loadBuiltinTypes(): BuiltinTypes {
  const path = join(import.meta.dirname, '../schemas/builtin-types.json')
  const { types } = JSON.parse(readFileSync(path, 'utf8')) as { types: Record<string, CompactStruct> }
  const made = new Map<string, StructType>()

  function struct(name: string): StructType {
    const known = made.get(name)
    if (known) return known
    const compact = types[name]
    if (!compact) throw new Error(`schemas/builtin-types.json has no type ${name}`)
    const fields = new Map<string, FieldSlot>()
    const type: StructType = {
      kind: 'struct',
      name,
      fields,
      required: compact.r ?? [],
      atomic: compact.a === 1,
      preservesUnknown: false,
    }
    made.set(name, type)
    for (const [field, slot] of Object.entries(compact.f)) {
      fields.set(field, slotOf(typeof slot === 'string' ? { t: slot } : slot))
    }
    return type
  }

  function slotOf(slot: CompactSlot): FieldSlot {
    const [, number = '', empty = '', code = ''] = /^([\d.]*)([!?]?)(.+)$/.exec(slot.t) ?? []
    const strategies = slot.p ? slot.p.split(',') : []
    return {
      type: typeOf(code, slot),
      whenEmpty: WHEN_EMPTY[empty] ?? 'dropped',
      wire: number === '' ? [] : number.split('.').map(Number),
      ...(slot.p || slot.m ? { patch: slot.m ? { strategies, mergeKey: slot.m } : { strategies } } : {}),
    }
  }

  function typeOf(code: string, slot?: CompactSlot): FieldType {
    const rest = code.slice(1)
    if (code.startsWith('[')) return listOf(rest, slot)
    if (code.startsWith('{')) return { kind: 'map', values: typeOf(rest), atomic: slot?.a === 1 }
    if (code.startsWith('#')) {
      const named = struct(rest)
      return slot?.a === 1 && !named.atomic ? { ...named, atomic: true } : named
    }
    const scalar = SCALARS[code]
    return scalar ? { kind: 'scalar', scalar } : UNTYPED
  }

  function listOf(items: string, slot: CompactSlot | undefined): FieldType {
    const list = slot?.l === 'map' || slot?.l === 'set' ? slot.l : 'atomic'
    return { kind: 'list', items: typeOf(items), list, keys: slot?.k ?? [], keyDefaults: KEY_DEFAULTS[items] ?? {} }
  }

  return { struct, has: (name) => types[name] !== undefined }
}
