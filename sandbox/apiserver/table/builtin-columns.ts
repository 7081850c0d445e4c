import { ageColumn, nameColumn } from './cells.ts'
import type { TableColumn } from './column.ts'

export const COLUMNS: Readonly<Record<string, readonly TableColumn[]>> = { default: [nameColumn, ageColumn] }
