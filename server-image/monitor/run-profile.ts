/** Makes a reference profile of a sample, and of a model's answers on it when there is a model. */
import type { FeatureValue, Row } from '../model/rows.ts'
import { rowProblem } from '../model/rows.ts'
import { loadModel } from '../model/session.ts'
import type { TabularSignature } from '../model/signature.ts'
import { RowModel } from '../serve/predict/row-model.ts'
import { profileOf, type Column } from './profile-build.ts'
import { MAX_PROFILE_FEATURES, ProfileError, type FeatureProfile, type Profile } from './profile.ts'
import { readSample, type SampleFormat } from './sample-file.ts'

export interface ProfileArguments {
  readonly path: string
  readonly format?: SampleFormat
  readonly maxRows: number
  /** Distinct values that are kept of a numeric feature. */
  readonly maxValues: number
  /** All of the model's features, or of the file's columns, when left out. */
  readonly columns?: readonly string[]
  /** Columns whose numbers are names of things. */
  readonly categorical: readonly string[]
  readonly modelPath?: string
}

/** @throws ProfileError or ModelError that says what to change (as a rejection) */
export async function makeProfile(options: ProfileArguments): Promise<Profile> {
  const model = options.modelPath === undefined ? undefined : await loadModel({ path: options.modelPath })
  try {
    const signature = model && tabular(model.signature)
    const names = options.columns ?? namesOf(signature)
    const columns = await readSample({ ...options, ...(names !== undefined && { columns: names }) })
    if (columns.length > MAX_PROFILE_FEATURES) {
      throw new ProfileError(
        `A profile has at most ${MAX_PROFILE_FEATURES} features, not ${columns.length}; choose the ones that matter with --columns.`,
      )
    }
    const stranger = options.categorical.find((name) => !columns.some((column) => column.name === name))
    if (stranger !== undefined)
      throw new ProfileError(`--categorical names ${JSON.stringify(stranger)}, which is no column of the profile.`)
    const features = columns.map((column) => profileOf(column, kindOf(column, options, signature), options.maxValues))
    const predictions = model && signature && (await predict(model, signature, columns))
    return {
      rows: columns[0]?.cells.length ?? 0,
      features,
      ...(predictions !== undefined &&
        signature !== undefined && { prediction: predictionProfile(predictions, signature, options.maxValues) }),
    }
  } finally {
    model?.dispose()
  }
}

type LoadedModel = Awaited<ReturnType<typeof loadModel>>

function tabular(signature: LoadedModel['signature']): TabularSignature {
  if (signature.kind === 'tabular') return signature
  throw new ProfileError(`This model cannot be asked by rows: ${signature.reason}`)
}

function namesOf(signature: TabularSignature | undefined): string[] | undefined {
  if (signature === undefined || signature.features.length === 0) return undefined
  return signature.features.map(({ name }) => name)
}

function kindOf(
  { name }: Column,
  { categorical }: ProfileArguments,
  signature: TabularSignature | undefined,
): FeatureProfile['kind'] | undefined {
  if (categorical.includes(name)) return 'categorical'
  const datatype = signature?.features.find((feature) => feature.name === name)?.datatype
  if (datatype === undefined) return undefined
  return datatype === 'BYTES' || datatype === 'BOOL' ? 'categorical' : 'numeric'
}

const ROWS_AT_ONCE = 1024

/** The model's answers to the sample's whole rows; undefined when the sample does not have all of its features. */
async function predict(model: LoadedModel, signature: TabularSignature, columns: readonly Column[]) {
  const names = namesOf(signature) ?? columns.map(({ name }) => name)
  const cells = names.map((name) => columns.find((column) => column.name === name)?.cells)
  if (cells.includes(undefined)) return undefined
  const rows: Row[] = []
  for (let index = 0; index < (columns[0]?.cells.length ?? 0); index += 1) {
    const row = cells.map((column) => column?.[index] ?? null)
    if (row.includes(null)) continue
    const asked = row.map((value, column) => asTaken(value as FeatureValue, signature.features[column]?.datatype))
    const problem = rowProblem(signature, asked, `row ${index + 1}`)
    if (problem !== undefined) throw new ProfileError(`The model cannot take the sample: ${problem}.`)
    rows.push(asked)
  }
  const rowModel = new RowModel({ run: async (feeds, outputs) => model.run(feeds, outputs) }, signature)
  const answers: (number | string)[] = []
  for (let from = 0; from < rows.length; from += ROWS_AT_ONCE) {
    const [predictions = []] = await rowModel.predict([rows.slice(from, from + ROWS_AT_ONCE)])
    answers.push(...predictions.map(({ prediction }) => prediction))
  }
  return answers.length === 0 ? undefined : answers
}

/** A column that looks like numbers may be text to the model. */
function asTaken(value: FeatureValue, datatype: string | undefined): FeatureValue {
  if (datatype === 'BYTES') return String(value)
  return typeof value === 'boolean' && datatype !== 'BOOL' ? Number(value) : value
}

function predictionProfile(
  cells: readonly (number | string)[],
  { task }: TabularSignature,
  maxValues: number,
): FeatureProfile {
  const kind = task === 'classification' ? 'categorical' : 'numeric'
  return profileOf({ name: 'prediction', cells }, kind, maxValues)
}
