/**
 * The reference that drift is measured against: a small JSON file, made by `profile` from a sample of the training data.
 *
 * It is versioned and self-describing, bounded in size whatever the sample's, and the same sample always gives the same bytes.
 */
import { weightedValues, type CategoryCounts, type WeightedValues } from './distance.ts'

export const PROFILE_KIND = 'penstock-profile'
export const PROFILE_VERSION = 1
/** Features with a score of their own; the label's values come from here, so this bounds the series. */
export const MAX_PROFILE_FEATURES = 256
export const MAX_CATEGORIES = 1000
const MAX_PROFILE_VALUES = 100_000
const MAX_NAME_CHARACTERS = 200

export interface Profile {
  /** Rows of the sample that it was made from. */
  readonly rows: number
  readonly features: readonly FeatureProfile[]
  /** Of the model's answers on the sample. */
  readonly prediction?: FeatureProfile
}

export type FeatureProfile = NumericProfile | CategoricalProfile

export interface NumericProfile {
  readonly kind: 'numeric'
  readonly name: string
  /** Values that were there. */
  readonly count: number
  readonly missing: number
  /** Distinct values in the whole sample. */
  readonly distinct: number
  readonly mean: number
  /** Of the population: divided by `count`. */
  readonly std: number
  /** Ascending and distinct. All of the sample's when they are few, else its evenly spaced quantiles. */
  readonly values: readonly number[]
  /** How many of the sample's values each stands for. */
  readonly counts: readonly number[]
}

export interface CategoricalProfile {
  readonly kind: 'categorical'
  readonly name: string
  readonly count: number
  readonly missing: number
  /** The most frequent ones by count. */
  readonly categories: Readonly<Record<string, number>>
  /** Values of all other categories. */
  readonly other: number
}

/** A profile that cannot be used; the message names the field. */
export class ProfileError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ProfileError'
  }
}

export function profileJson({ rows, features, prediction }: Profile): string {
  const file = { kind: PROFILE_KIND, schemaVersion: PROFILE_VERSION, rows, features, prediction }
  return `${JSON.stringify(file)}\n`
}

export function referenceValues({ values, counts }: NumericProfile): WeightedValues {
  return weightedValues(values, counts)
}

/** What stands for all categories that are not listed. A control character, so that no category is called so. */
export const OTHER_CATEGORY = '\u0000other'

export function referenceCounts({ categories, other }: CategoricalProfile): CategoryCounts {
  const counts = new Map(Object.entries(categories))
  if (other > 0) counts.set(OTHER_CATEGORY, other)
  return counts
}

type Members = Readonly<Record<string, unknown>>

/** @throws ProfileError naming the field that is wrong */
export function parseProfile(text: string): Profile {
  const file = membersOf(parsed(text), 'the profile')
  if (file['kind'] !== PROFILE_KIND) {
    throw new ProfileError(`kind must be "${PROFILE_KIND}"; make the file with "penstock-server profile".`)
  }
  if (file['schemaVersion'] !== PROFILE_VERSION) {
    throw new ProfileError(
      `schemaVersion must be ${PROFILE_VERSION}, got ${shown(file['schemaVersion'])}; make the profile again with this release.`,
    )
  }
  const { features } = file
  if (!Array.isArray(features) || features.length === 0 || features.length > MAX_PROFILE_FEATURES) {
    throw new ProfileError(`features must be an array of 1 to ${MAX_PROFILE_FEATURES} features.`)
  }
  const read = features.map((feature, index) => readFeature(feature, `features[${index}]`))
  const names = read.map(({ name }) => name)
  const twice = names.findIndex((name, index) => names.indexOf(name) !== index)
  if (twice !== -1) throw new ProfileError(`features[${twice}].name ${shown(names[twice])} is there twice.`)
  return {
    rows: countOf(file, 'rows', 'rows'),
    features: read,
    ...(file['prediction'] !== undefined && { prediction: readFeature(file['prediction'], 'prediction') }),
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new ProfileError(`The profile is not JSON: ${error instanceof Error ? error.message : String(error)}.`, {
      cause: error,
    })
  }
}

function readFeature(value: unknown, path: string): FeatureProfile {
  const feature = membersOf(value, path)
  const { name, kind } = feature
  if (typeof name !== 'string' || name === '' || name.length > MAX_NAME_CHARACTERS) {
    throw new ProfileError(`${path}.name must be a string of 1 to ${MAX_NAME_CHARACTERS} characters.`)
  }
  const of = (field: string) => countOf(feature, field, `${path}.${field}`)
  const common = { name, count: of('count'), missing: of('missing') }
  if (common.count === 0) throw new ProfileError(`${path}.count must be at least 1: ${name} has no values.`)
  if (kind === 'categorical') return { kind, ...common, ...readCategories(feature, path), other: of('other') }
  if (kind !== 'numeric') throw new ProfileError(`${path}.kind must be "numeric" or "categorical", got ${shown(kind)}.`)
  return {
    kind,
    ...common,
    distinct: of('distinct'),
    mean: numberOf(feature['mean'], `${path}.mean`),
    std: numberOf(feature['std'], `${path}.std`),
    ...readValues(feature, path),
  }
}

function readValues(feature: Members, path: string): Pick<NumericProfile, 'values' | 'counts'> {
  const values = numbersOf(feature['values'], `${path}.values`)
  const counts = numbersOf(feature['counts'], `${path}.counts`)
  if (counts.length !== values.length || counts.some((count) => count <= 0)) {
    throw new ProfileError(`${path}.counts must have a positive number for each of ${path}.values.`)
  }
  const unordered = values.findIndex((value, index) => index > 0 && value <= (values[index - 1] ?? 0))
  if (unordered !== -1) throw new ProfileError(`${path}.values[${unordered}] must be greater than the one before it.`)
  return { values, counts }
}

function readCategories(feature: Members, path: string): Pick<CategoricalProfile, 'categories'> {
  const field = `${path}.categories`
  const categories = membersOf(feature['categories'], field)
  const names = Object.keys(categories)
  if (names.length === 0 || names.length > MAX_CATEGORIES) {
    throw new ProfileError(`${field} must have 1 to ${MAX_CATEGORIES} members.`)
  }
  return { categories: Object.fromEntries(names.map((name) => [name, countOf(categories, name, `${field}.${name}`)])) }
}

function membersOf(value: unknown, path: string): Members {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Members
  throw new ProfileError(`${path} must be a JSON object, got ${shown(value)}.`)
}

function countOf(members: Members, name: string, path: string): number {
  const value = Object.hasOwn(members, name) ? members[name] : undefined
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw new ProfileError(`${path} must be a whole number of at least 0, got ${shown(value)}.`)
}

function numbersOf(value: unknown, path: string): number[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_PROFILE_VALUES) {
    throw new ProfileError(`${path} must be an array of 1 to ${MAX_PROFILE_VALUES} numbers.`)
  }
  return value.map((entry, index) => numberOf(entry, `${path}[${index}]`))
}

function numberOf(value: unknown, path: string): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value
  throw new ProfileError(`${path} must be a finite number, got ${shown(value)}.`)
}

function shown(value: unknown): string {
  const json = JSON.stringify(value) as string | undefined
  if (json === undefined) return 'nothing'
  return json.length > 40 ? `${json.slice(0, 40)}…` : json
}
