/** Reads a sample of rows from a file: CSV with a header, JSON Lines of objects, or Parquet. */
import { createReadStream } from 'node:fs'
import { extname } from 'node:path'
import { createInterface } from 'node:readline'
import { parse } from 'csv-parse'
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema } from 'hyparquet'
import { PARQUET_CODECS } from './parquet-codecs.ts'
import type { Cell, Column } from './profile-build.ts'
import { ProfileError } from './profile.ts'

export const SAMPLE_FORMATS = ['csv', 'jsonl', 'parquet'] as const
export type SampleFormat = (typeof SAMPLE_FORMATS)[number]

export interface SampleOptions {
  readonly path: string
  /** By the file's name when left out. */
  readonly format?: SampleFormat
  /** Rows after these are not read. */
  readonly maxRows: number
  /** Only these; all of the file's when left out. */
  readonly columns?: readonly string[]
}

/** @throws ProfileError naming the file, and the line and the column where it can be told (as a rejection) */
export async function readSample(options: SampleOptions): Promise<Column[]> {
  const { path } = options
  const format = options.format ?? formatOf(path)
  try {
    const columns = await READERS[format](options)
    if ((columns[0]?.cells.length ?? 0) === 0) throw new ProfileError('it has no rows')
    return columns
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new ProfileError(`${path} cannot be used as a sample: ${why.replace(/\.$/, '')}.`, { cause: error })
  }
}

function formatOf(path: string): SampleFormat {
  const extension = extname(path).slice(1).toLowerCase()
  if (extension === 'ndjson') return 'jsonl'
  const format = SAMPLE_FORMATS.find((known) => known === extension)
  if (format !== undefined) return format
  throw new ProfileError(
    `It cannot be told what ${path} is; name it .csv, .jsonl, .ndjson or .parquet, or give --format.`,
  )
}

type Reader = (options: SampleOptions) => Promise<Column[]>

const READERS: Readonly<Record<SampleFormat, Reader>> = { csv: readCsv, jsonl: readJsonLines, parquet: readParquet }

/** Texts that stand for a missing value, as pandas reads them. */
const MISSING = new Set(['', 'NaN', 'nan', 'NA', 'N/A', 'null', 'NULL', 'None', '<NA>'])

async function readCsv({ path, maxRows, columns: wanted }: SampleOptions): Promise<Column[]> {
  const parser = parse({ bom: true, skip_empty_lines: true, to: maxRows + 1 })
  const file = createReadStream(path)
  file.on('error', (error) => parser.destroy(error)).pipe(parser)
  let header: string[] | undefined
  let places: number[] = []
  const texts: string[][] = []
  for await (const record of parser as AsyncIterable<string[]>) {
    if (header === undefined) {
      header = chosen(record, wanted)
      places = header.map((name) => record.indexOf(name))
      texts.push(...header.map(() => []))
    } else places.forEach((place, column) => texts[column]?.push(record[place] ?? ''))
  }
  return (header ?? []).map((name, column) => ({ name, cells: cellsOfTexts(texts[column] ?? []) }))
}

/** A column is of numbers, or of true and false, only when all of it is. */
function cellsOfTexts(texts: readonly string[]): Cell[] {
  const present = texts.filter((text) => !MISSING.has(text.trim()))
  const convert = present.every((text) => Number.isFinite(Number(text)))
    ? Number
    : present.every((text) => /^(true|false)$/i.test(text))
      ? (text: string) => text.toLowerCase() === 'true'
      : (text: string) => text
  return texts.map((text) => (MISSING.has(text.trim()) ? null : convert(text)))
}

async function readJsonLines({ path, maxRows, columns: wanted }: SampleOptions): Promise<Column[]> {
  const input = createReadStream(path)
  const failed = new Promise<never>((_, reject) => input.once('error', reject))
  const lines = createInterface({ input, crlfDelay: Infinity })
  const read = async () => {
    let columns: { name: string; cells: Cell[] }[] | undefined
    let number = 0
    for await (const line of lines) {
      number += 1
      if (line.trim() === '') continue
      const row = rowOfLine(line, number)
      columns ??= chosen(Object.keys(row), wanted).map((name) => ({ name, cells: [] }))
      for (const { name, cells } of columns) cells.push(cellOf(row[name], `line ${number}, ${name}`))
      if ((columns[0]?.cells.length ?? 0) >= maxRows) break
    }
    return columns ?? []
  }
  try {
    return await Promise.race([read(), failed])
  } finally {
    input.destroy()
  }
}

function rowOfLine(line: string, number: number): Readonly<Record<string, unknown>> {
  let row: unknown
  try {
    row = JSON.parse(line)
  } catch (error) {
    throw new ProfileError(`line ${number} is not JSON`, { cause: error })
  }
  if (typeof row === 'object' && row !== null && !Array.isArray(row)) return row as Record<string, unknown>
  throw new ProfileError(`line ${number} must be a JSON object of columns`)
}

async function readParquet({ path, maxRows, columns: wanted }: SampleOptions): Promise<Column[]> {
  const file = await asyncBufferFromFile(path)
  const metadata = await parquetMetadataAsync(file)
  const names = chosen(
    parquetSchema(metadata).children.map(({ element }) => element.name),
    wanted,
  )
  const rowEnd = Math.min(maxRows, Number(metadata.num_rows))
  const rows = await parquetReadObjects({ file, metadata, columns: names, rowEnd, compressors: PARQUET_CODECS })
  return names.map((name) => ({
    name,
    cells: rows.map((row, index) => cellOf(row[name], `row ${index + 1}, ${name}`)),
  }))
}

function cellOf(value: unknown, where: string): Cell {
  if (value === null || value === undefined) return null
  if (typeof value === 'number') return Number.isFinite(value) ? value : null
  if (typeof value === 'bigint') return Number(value)
  if (typeof value === 'string' || typeof value === 'boolean') return value
  throw new ProfileError(`${where} must be a number, a text, true or false; leave the column out`)
}

function chosen(found: readonly string[], wanted: readonly string[] | undefined): string[] {
  const twice = found.find((name, index) => found.indexOf(name) !== index)
  if (twice !== undefined) throw new ProfileError(`column ${JSON.stringify(twice)} is there twice`)
  const missing = wanted?.find((name) => !found.includes(name))
  if (missing === undefined) return [...(wanted ?? found)]
  throw new ProfileError(`column ${JSON.stringify(missing)} is missing; there are ${found.slice(0, 20).join(', ')}`)
}
