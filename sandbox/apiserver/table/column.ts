import type { Json, KubeObject } from '../json.ts'

/** One column of a Table answer. */
export interface TableColumn {
  readonly name: string
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date'
  readonly format: string
  readonly description: string
  /** 0 is always shown, 1 only with -o wide. */
  readonly priority: number
  readonly cell: (object: KubeObject, now: number) => Json
}
