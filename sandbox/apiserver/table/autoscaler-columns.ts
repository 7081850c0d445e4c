import { numberAt, objectAt, objectsAt, stringAt, textOf, type JsonObject, type KubeObject } from '../json.ts'
import { ageColumn, column, nameColumn } from './cells.ts'
import type { TableColumn } from './column.ts'

const SHOWN_METRICS = 2

/** `cpu: 40%/80%`, one text per metric. */
function metricText(spec: JsonObject, status: JsonObject | undefined): string {
  const source = objectAt(spec, lowerFirst(stringAt(spec, 'type') ?? '')) ?? {}
  const current = objectAt(status, lowerFirst(stringAt(spec, 'type') ?? ''), 'current') ?? objectAt(status, 'current')
  const name = stringAt(source, 'name')
  const target = objectAt(source, 'target') ?? {}
  const prefix = name === undefined ? '' : `${name}: `
  const field = ['averageUtilization', 'averageValue', 'value'].find((each) => target[each] !== undefined)
  if (field === undefined) return `${prefix}<unknown>/<auto>`
  const percent = field === 'averageUtilization' ? '%' : ''
  const now = current?.[field]
  return `${prefix}${now === undefined ? '<unknown>' : `${textOf(now)}${percent}`}/${textOf(target[field])}${percent}`
}

function targets(autoscaler: KubeObject): string {
  const specs = objectsAt(autoscaler, 'spec', 'metrics')
  if (specs.length === 0) return '<none>'
  const statuses = objectsAt(autoscaler, 'status', 'currentMetrics')
  const texts = specs.slice(0, SHOWN_METRICS).map((spec, index) => metricText(spec, statuses[index]))
  return specs.length > SHOWN_METRICS
    ? `${texts.join(', ')} + ${specs.length - SHOWN_METRICS} more...`
    : texts.join(', ')
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1)
}

export const autoscalerColumns: TableColumn[] = [
  nameColumn,
  column(
    'Reference',
    (each) =>
      `${stringAt(each, 'spec', 'scaleTargetRef', 'kind') ?? ''}/${stringAt(each, 'spec', 'scaleTargetRef', 'name') ?? ''}`,
  ),
  column('Targets', targets),
  column('MinPods', (each) => textOf(numberAt(each, 'spec', 'minReplicas') ?? '<unset>')),
  column('MaxPods', (each) => numberAt(each, 'spec', 'maxReplicas') ?? 0, { type: 'integer' }),
  column('Replicas', (each) => numberAt(each, 'status', 'currentReplicas') ?? 0, { type: 'integer' }),
  ageColumn,
]
