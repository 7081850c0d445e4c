/** How kubectl's columns show values. */
import type { TableColumn } from './column.ts'
import { stringAt, type Json, type KubeObject } from '../json.ts'

type Cell = (object: KubeObject, now: number) => Json

interface ColumnOptions {
  readonly type?: TableColumn['type']
  readonly wide?: boolean
  readonly format?: string
}

export function column(
  name: string,
  cell: Cell,
  { type = 'string', wide = false, format = '' }: ColumnOptions = {},
): TableColumn {
  return { name, type, format, description: name, priority: wide ? 1 : 0, cell }
}

export const nameColumn = column('Name', (object) => object.metadata.name, { format: 'name' })

export const ageColumn = column('Age', (object, now) => ageOf(stringAt(object, 'metadata', 'creationTimestamp'), now))

/** Time since an instant as kubectl prints it, e.g. `5m10s`; `<unknown>` without one. */
export function ageOf(instant: string | undefined, now: number): string {
  const then = instant === undefined ? Number.NaN : Date.parse(instant)
  return Number.isNaN(then) ? '<unknown>' : humanDuration(now - then)
}

/** k8s.io/apimachinery/pkg/util/duration.HumanDuration: at most two units, coarser as it grows. */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000)
  if (seconds < -1) return '<invalid>'
  if (seconds < 0) return '0s'
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  const days = Math.floor(hours / 24)
  if (seconds < 120) return `${seconds}s`
  if (minutes < 10) return pair(minutes, 'm', seconds % 60, 's')
  if (minutes < 180) return `${minutes}m`
  if (hours < 8) return pair(hours, 'h', minutes % 60, 'm')
  if (hours < 48) return `${hours}h`
  if (hours < 192) return pair(days, 'd', hours % 24, 'h')
  if (days < 730) return `${days}d`
  if (days < 2920) return pair(Math.floor(days / 365), 'y', days % 365, 'd')
  return `${Math.floor(days / 365)}y`
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`
}

export function orNone(text: string | undefined, none = '<none>'): string {
  return text === undefined || text === '' ? none : text
}
