/**
 * Watches what a model is asked and what it answers: drift of the features and of the predictions from a reference, and quality by
 * labels that come later. Observing a request costs little and constant memory; everything else is computed when somebody asks, in
 * small parts with the event loop's other work between them.
 */
import { readFile, stat } from 'node:fs/promises'
import { performance } from 'node:perf_hooks'
import type { FeatureValue, Prediction, Row } from '../model/rows.ts'
import type { Signature, TabularSignature } from '../model/signature.ts'
import { BoundedSet } from './bounded-set.ts'
import { categoryOf } from './category.ts'
import { featureDrift, type FeatureDrift, type WeightedCells } from './drift.ts'
import { keptLabel } from './kept-label.ts'
import { ProfileError, parseProfile, type FeatureProfile, type Profile } from './profile.ts'
import { QualityWindow, type Quality } from './quality.ts'
import { RecentAnswers, type AnswerId } from './recent-answers.ts'
import { RowWindow, type WindowSample } from './row-window.ts'
import type { MonitorSettings } from './settings.ts'

export interface MonitorOptions {
  readonly settings: MonitorSettings
  readonly profile?: Profile
  readonly revision: string
  /** Random, of this process; letters and digits. */
  readonly instance: string
  /** In milliseconds; never goes back. */
  readonly now: () => number
  readonly random: () => number
}

export interface DriftReport {
  /** Rows of the window. */
  readonly seen: number
  /** Those of them that were kept and compared. */
  readonly sampled: number
  /** Empty without a profile, or while there are fewer rows than `minRows`. */
  readonly features: readonly FeatureDrift[]
  /** When the profile holds the model's answers on the reference. */
  readonly prediction?: FeatureDrift
  /** Drifted features among all; absent while there is nothing to say. */
  readonly driftedShare?: number
  readonly drifted?: boolean
}

/** The rows of one request, by their index. */
export type RowAt = (index: number) => Row | undefined

/** Of one observed row: the values of the watched features, in the profile's order. */
interface KeptRow {
  readonly cells: readonly FeatureValue[]
  readonly prediction: number | string
}

/** What is known once the model is loaded. */
interface Watched {
  readonly signature: TabularSignature
  readonly columns: readonly number[]
  /** As labels are kept. */
  readonly classes: readonly (number | string)[] | undefined
  readonly quality: QualityWindow
}

/** How old a drift report may be when it is asked for again: scrapers come in pairs. */
const REPORT_MAX_AGE_MS = 5_000

export class Monitor {
  readonly settings: MonitorSettings
  readonly profile: Profile | undefined
  readonly answers: RecentAnswers
  /** Ids of other pods' answers whose labels were counted here. */
  readonly labelledElsewhere: BoundedSet
  readonly #options: MonitorOptions
  readonly #window: RowWindow<KeptRow>
  #watched: Watched | undefined
  #report: { readonly at: number; readonly report: Promise<DriftReport> } | undefined

  constructor(options: MonitorOptions) {
    const { settings, revision, instance, random } = options
    this.#options = options
    this.settings = settings
    this.profile = options.profile
    this.answers = new RecentAnswers({ ...settings, revision, instance })
    this.labelledElsewhere = new BoundedSet(settings.maxAnswers)
    this.#window = new RowWindow({ ...settings.window, random })
  }

  get signature(): TabularSignature | undefined {
    return this.#watched?.signature
  }

  /**
   * From now on this model's rows are observed. A model that is not asked by rows is not monitored.
   * @throws ProfileError when the profile is not one of this model's features
   */
  watch(signature: Signature): void {
    if (signature.kind === 'none') {
      if (this.profile !== undefined)
        throw new ProfileError(`The profile cannot be used with this model: ${signature.reason}`)
      return
    }
    const columns = this.profile?.features.map((feature) => columnOf(signature, feature)) ?? []
    const quality = new QualityWindow(signature.task, this.settings.feedbackWindow)
    this.#watched = { signature, columns, classes: signature.classLabels?.map(keptLabel), quality }
  }

  /** @param rowAt the row that was answered with the prediction of this index; asked only for what is kept of it */
  observe(id: AnswerId, rowAt: RowAt, predictions: readonly Prediction[]): void {
    this.answers.keep(id, predictions)
    const watched = this.#watched
    if (watched === undefined) return
    const now = this.#options.now()
    for (let index = 0; index < predictions.length; index += 1) {
      this.#window.observe(() => keptRow(watched.columns, () => rowAt(index), predictions[index]), now)
    }
  }

  label(truth: number | string, prediction: Prediction): void {
    const classes = this.#watched?.signature.classLabels
    const place = classes === undefined ? truth : classes.indexOf(truth)
    const probabilityOfTruth = typeof place === 'number' ? prediction.probabilities?.[place] : undefined
    this.#watched?.quality.add({
      truth: keptLabel(truth),
      prediction: keptLabel(prediction.prediction),
      ...(probabilityOfTruth !== undefined && { probabilityOfTruth }),
    })
  }

  quality(): Quality {
    return this.#watched?.quality.quality(this.#watched.classes) ?? { count: 0 }
  }

  /** The model's recent answers. */
  predictions(): WeightedCells {
    const { rows, weights } = this.#window.sample(this.#options.now())
    return { cells: rows.map(({ prediction }) => prediction), weights }
  }

  /** At most a few seconds old. */
  drift(): Promise<DriftReport> {
    const at = this.#options.now()
    if (this.#report === undefined || at - this.#report.at > REPORT_MAX_AGE_MS) {
      this.#report = { at, report: this.#compare(this.#window.sample(at)) }
    }
    return this.#report.report
  }

  async #compare({ rows, weights, seen }: WindowSample<KeptRow>): Promise<DriftReport> {
    const { profile, settings } = this
    const report = { seen, sampled: rows.length, features: [] }
    if (profile === undefined || seen < settings.minRows || rows.length === 0) return report
    const features: FeatureDrift[] = []
    for (const [index, feature] of profile.features.entries()) {
      const cells = rows.map((row) => row.cells[index] ?? 0)
      features.push(featureDrift(feature, { cells, weights }, settings.rule))
      await new Promise(setImmediate)
    }
    const driftedShare = features.filter(({ drifted }) => drifted).length / features.length
    return {
      ...report,
      features,
      driftedShare,
      drifted: driftedShare >= settings.datasetShare,
      ...(profile.prediction !== undefined && {
        prediction: featureDrift(
          profile.prediction,
          { cells: rows.map((row) => row.prediction), weights },
          settings.rule,
        ),
      }),
    }
  }
}

/**
 * A monitor by the process's clock, with the profile that the settings name.
 * @throws ProfileError when there is none, or it cannot be used (as a rejection)
 */
export async function startMonitor(
  settings: MonitorSettings,
  process: Pick<MonitorOptions, 'revision' | 'instance'>,
): Promise<Monitor> {
  const { profilePath } = settings
  const profile = profilePath === undefined ? undefined : await readProfile(profilePath)
  return new Monitor({
    ...process,
    settings,
    ...(profile !== undefined && { profile }),
    instance: process.instance.slice(0, 8),
    now: () => performance.now(),
    random: Math.random,
  })
}

const MAX_PROFILE_BYTES = 64 * 1024 * 1024

async function readProfile(path: string): Promise<Profile> {
  let text: string
  try {
    const { size } = await stat(path)
    if (size > MAX_PROFILE_BYTES) throw new Error(`it has ${size} bytes, more than ${MAX_PROFILE_BYTES}`)
    text = await readFile(path, 'utf8')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new ProfileError(`The profile ${path} cannot be read: ${why}.`, { cause: error })
  }
  try {
    return parseProfile(text)
  } catch (error) {
    if (!(error instanceof ProfileError)) throw error
    throw new ProfileError(`${path}: ${error.message}`, { cause: error })
  }
}

/** Law: texts are cut when they are kept, as what is kept must be bounded in bytes as well. */
function keptRow(columns: readonly number[], row: () => Row | undefined, answer: Prediction | undefined): KeptRow {
  const values = columns.length === 0 ? undefined : row()
  const cells = columns.map((column) => bounded(values?.[column] ?? 0))
  return { cells, prediction: bounded(answer?.prediction ?? 0) as number | string }
}

function bounded(value: FeatureValue): FeatureValue {
  return typeof value === 'string' ? categoryOf(value) : value
}

/** Where a profile's feature is in a row. A model without names has `f0`, `f1`, ... */
function columnOf({ features, featureCount }: TabularSignature, { name, kind }: FeatureProfile): number {
  if (featureCount === -1) {
    const column = /^f(\d{1,6})$/.exec(name)?.[1]
    if (column !== undefined) return Number(column)
    throw new ProfileError(
      `The profile's feature ${JSON.stringify(name)} must be called f0, f1, ...: this model's features have no names.`,
    )
  }
  const column = features.findIndex((feature) => feature.name === name)
  if (column === -1) {
    const known = features.slice(0, 10).map((feature) => feature.name)
    const more = features.length > 10 ? ` and ${features.length - 10} more` : ''
    throw new ProfileError(
      `The profile's feature ${JSON.stringify(name)} is no feature of this model, which has ${known.join(', ')}${more}.`,
    )
  }
  if (kind === 'numeric' && features[column]?.datatype === 'BYTES') {
    throw new ProfileError(`The profile's feature ${JSON.stringify(name)} is numeric, but the model takes text for it.`)
  }
  return column
}
