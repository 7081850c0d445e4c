/**
 * Reads the files that hold a model's tensors outside its .onnx file.
 *
 * ONNX Runtime gets their bytes and never a path, so a model can name no file but those that pass here: regular files
 * below the model's own folder, reached without `..`, symbolic or hard links (CVE-2022-25882, CVE-2024-27318, CVE-2026-34446).
 */
import { createReadStream } from 'node:fs'
import { constants, open, realpath, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { inspectBytes, type ModelSummary } from './inspect.ts'
import { ModelError, quoted } from './model-error.ts'
import { readBytes, readModelFile } from './model-file.ts'

export interface ExternalFile {
  /** As the model spells it. */
  readonly location: string
  readonly bytes: Uint8Array
}

const MAX_EXTERNAL_FILES = 1_000
/** In all files together: they hold what a protobuf message cannot. The memory of the process ends sooner. */
export const MAX_EXTERNAL_BYTES = 64 * 1024 ** 3

/** @param modelPath undefined for a model that has no folder, such as one in memory: then any external data is an error. */
export async function readExternalFiles(
  summary: ModelSummary,
  modelPath: string | undefined,
  maxBytes: number,
): Promise<ExternalFile[]> {
  const locations = externalLocations(summary)
  const [first] = locations
  if (first === undefined) return []
  if (modelPath === undefined) throw missing(first)
  const files: ExternalFile[] = []
  let leftBytes = maxBytes
  for (const location of locations) {
    const bytes = await readInside(dirname(modelPath), location, leftBytes)
    leftBytes -= bytes.length
    files.push({ location, bytes })
  }
  return files
}

/**
 * The files that hold the model's tensors, as it spells them: each a plain path below its own folder, named once.
 * @throws ModelError
 */
export function externalLocations({ externalTensors }: ModelSummary): string[] {
  const locations = [...new Set(externalTensors.map(({ location }) => location))]
  locations.forEach(refuseEscape)
  if (locations.length > MAX_EXTERNAL_FILES) {
    throw new ModelError('UnsupportedModel', `The model is spread over ${locations.length} files; save it as one.`)
  }
  return locations
}

/**
 * The same of a model file. One that names no other file is not read into memory, however large it is.
 * @throws ModelError
 */
export async function externalLocationsIn(path: string): Promise<string[]> {
  return (await holds(path, LOCATION_KEY)) ? externalLocations(inspectBytes((await readModelFile(path)).bytes)) : []
}

/** Where a tensor is elsewhere, an entry of its `external_data` says so: field 1 of StringStringEntryProto. */
const LOCATION_KEY = Buffer.from('\n\x08location')

async function holds(path: string, wanted: Buffer): Promise<boolean> {
  let tail: Buffer = Buffer.alloc(0)
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>) {
    if (chunk.includes(wanted)) return true
    const seam = Buffer.concat([tail, chunk.subarray(0, wanted.length)])
    if (seam.includes(wanted)) return true
    tail = Buffer.concat([tail, chunk]).subarray(-wanted.length)
  }
  return false
}

function refuseEscape(location: string): void {
  const segments = location.split('/')
  const isPlain = segments.every((segment) => segment !== '' && segment !== '.' && segment !== '..')

  if (isPlain && !/[\\:\x00-\x1f]/.test(location)) return
  throw new ModelError(
    'InvalidModel',
    `The model keeps data in ${quoted(location)}; only plain relative paths below its own folder are allowed. Save it as one file.`,
  )
}

async function readInside(folder: string, location: string, maxBytes: number): Promise<Uint8Array> {
  const path = join(await realpath(folder), location)
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: unknown) => {
      const code = (error as NodeJS.ErrnoException).code
      throw code === 'ELOOP' ? linked(location) : missing(location, error)
    },
  )
  try {
    return await readChecked(file, path, location, maxBytes)
  } finally {
    await file.close()
  }
}

async function readChecked(file: FileHandle, path: string, location: string, maxBytes: number): Promise<Uint8Array> {
  const stat = await file.stat()
  if (!stat.isFile() || stat.nlink !== 1 || (await realpath(path)) !== path) throw linked(location)
  if (stat.size > maxBytes) {
    throw new ModelError(
      'TooLarge',
      `The model's data file ${quoted(location)} has ${stat.size} bytes, more than the limit allows.`,
    )
  }
  return readBytes(location, file, stat.size)
}

function linked(location: string): ModelError {
  return new ModelError(
    'InvalidModel',
    `The model's data file ${quoted(location)} is a link or no regular file, which could lead out of its folder; copy the file itself there.`,
  )
}

function missing(location: string, cause?: unknown): ModelError {
  return new ModelError(
    'InvalidModel',
    `The model keeps data in the file ${quoted(location)}, which is not readable beside it; save the model as one file (onnx.save_model(model, path)).`,
    { cause },
  )
}
