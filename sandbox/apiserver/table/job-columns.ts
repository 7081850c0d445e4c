import { selectorText } from '../handlers/selector-text.ts'
import { numberAt, objectAt, objectsAt, stringAt, valueAt, type KubeObject } from '../json.ts'
import { ageColumn, column, humanDuration, nameColumn } from './cells.ts'
import type { TableColumn } from './column.ts'
import { containerImages, containerNames } from './template-cells.ts'

function jobStatus(job: KubeObject): string {
  const holds = (type: string): boolean =>
    objectsAt(job, 'status', 'conditions').some((each) => each['type'] === type && each['status'] === 'True')
  if (holds('Complete')) return 'Complete'
  if (holds('Failed')) return 'Failed'
  if (job.metadata['deletionTimestamp'] !== undefined) return 'Terminating'
  if (holds('Suspended') || valueAt(job, 'spec', 'suspend') === true) return 'Suspended'
  if (holds('FailureTarget')) return 'FailureTarget'
  return holds('SuccessCriteriaMet') ? 'SuccessCriteriaMet' : 'Running'
}

function completions(job: KubeObject): string {
  const succeeded = numberAt(job, 'status', 'succeeded') ?? 0
  const wanted = numberAt(job, 'spec', 'completions')
  if (wanted !== undefined) return `${succeeded}/${wanted}`
  const parallelism = numberAt(job, 'spec', 'parallelism') ?? 1
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`
}

function duration(job: KubeObject, now: number): string {
  const start = Date.parse(stringAt(job, 'status', 'startTime') ?? '')
  if (Number.isNaN(start)) return ''
  const end = Date.parse(stringAt(job, 'status', 'completionTime') ?? '')
  return humanDuration((Number.isNaN(end) ? now : end) - start)
}

export const jobColumns: TableColumn[] = [
  nameColumn,
  column('Status', jobStatus),
  column('Completions', completions),
  column('Duration', duration),
  ageColumn,
  column('Containers', containerNames, { wide: true }),
  column('Images', containerImages, { wide: true }),
  column('Selector', (job) => selectorText(objectAt(job, 'spec', 'selector')), { wide: true }),
]
