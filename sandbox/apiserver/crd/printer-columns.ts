import { numberAt, objectsAt, stringAt, textOf, type Json, type JsonObject, type KubeObject } from '../json.ts'
import { ageColumn, ageOf, nameColumn } from '../table/cells.ts'
import type { TableColumn } from '../table/column.ts'
import { findAll, parseJsonPath } from './json-path.ts'

const TYPES = ['string', 'integer', 'number', 'boolean', 'date'] as const

/** The columns that a CRD version asks for; without any, name and age. */
export function printerColumns(version: JsonObject): TableColumn[] {
  const asked = objectsAt(version, 'additionalPrinterColumns')
  return [nameColumn, ...(asked.length > 0 ? asked.map(toColumn) : [ageColumn])]
}

function toColumn(asked: JsonObject): TableColumn {
  const type = TYPES.find((each) => each === asked['type']) ?? 'string'
  const steps = parseJsonPath(stringAt(asked, 'jsonPath') ?? '') ?? []
  return {
    name: stringAt(asked, 'name') ?? '',
    type,
    format: stringAt(asked, 'format') ?? '',
    description:
      stringAt(asked, 'description') ??
      'Custom resource definition column (in JSONPath format): ' + (stringAt(asked, 'jsonPath') ?? ''),
    priority: numberAt(asked, 'priority') ?? 0,
    cell: (object: KubeObject, now: number) => cellOf(findAll(object, steps), type, now),
  }
}

/** A value of another type than the column's is not shown, as in the real API server. */
function cellOf(found: readonly Json[], type: TableColumn['type'], now: number): Json {
  const [value] = found
  if (value === undefined || value === null) return null
  switch (type) {
    case 'integer':
    case 'number':
      if (typeof value !== 'number') return null
      return type === 'integer' ? Math.trunc(value) : value
    case 'boolean':
      return typeof value === 'boolean' ? value : null
    case 'date':
      return typeof value === 'string' ? ageOf(value, now) : '<invalid>'
    case 'string':
      return found.map(textOf).join(',')
  }
}
