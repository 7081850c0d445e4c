/** Samples that try the measures of drift and of quality where they could differ from Evidently's. The same on every machine. */
import type { LabelledAnswer, Task } from '../../server-image/monitor/quality.ts'

export interface DriftCase {
  readonly name: string
  readonly kind: 'numeric' | 'categorical'
  readonly reference: readonly (number | string)[]
  readonly current: readonly (number | string)[]
}

export interface QualityCase {
  readonly name: string
  readonly kind: Task
  readonly truth: readonly (number | string)[]
  readonly prediction: readonly (number | string)[]
  readonly classes?: readonly (number | string)[]
  readonly probabilities?: readonly (readonly number[])[]
}

export interface Cases {
  readonly drift: readonly DriftCase[]
  readonly quality: readonly QualityCase[]
}

/** Uniform in [0, 1): mulberry32, a small generator whose numbers are the same everywhere. */
export function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

type Draw = (random: () => number) => number | string

/** Rounded, so that the samples and what is computed from them do not hang on the last bit of a logarithm. */
const rounded = (value: number) => Math.round(value * 1e6) / 1e6
const normal =
  (mean: number, std: number): Draw =>
  (random) =>
    rounded(mean + std * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()))
const exponential =
  (mean: number): Draw =>
  (random) =>
    rounded(-mean * Math.log(1 - random()))
const integer =
  (from: number, to: number): Draw =>
  (random) =>
    from + Math.floor(random() * (to - from + 1))
const oneOf =
  (shares: Readonly<Record<string, number>>): Draw =>
  (random) => {
    let left = random()
    for (const [category, share] of Object.entries(shares)) {
      left -= share
      if (left < 0) return category
    }
    return Object.keys(shares)[0] ?? ''
  }

interface Recipe {
  readonly reference: readonly [Draw, number]
  readonly current: readonly [Draw, number]
}

const NUMERIC: Readonly<Record<string, Recipe>> = {
  'the same normal': { reference: [normal(0, 1), 500], current: [normal(0, 1), 400] },
  'equal sizes': { reference: [normal(0, 1), 300], current: [normal(0.1, 1), 300] },
  'shifted a little': { reference: [normal(10, 2), 800], current: [normal(10.3, 2), 500] },
  'shifted far': { reference: [normal(10, 2), 500], current: [normal(20, 2), 250] },
  'wider and skewed': { reference: [exponential(3), 600], current: [exponential(4.5), 211] },
  'tiny current': { reference: [normal(0, 1), 200], current: [normal(0, 1), 7] },
  'many integers': { reference: [integer(18, 90), 700], current: [integer(20, 80), 350] },
  'few integers, as categories': { reference: [integer(0, 4), 300], current: [integer(1, 6), 200] },
  'exactly twenty values': { reference: [integer(1, 20), 900], current: [integer(1, 20), 300] },
  'constant reference': { reference: [() => 5, 50], current: [integer(4, 6), 60] },
  'negligible spread': { reference: [normal(1, 0.00001), 100], current: [normal(1, 0.00002), 100] },
  'huge values': { reference: [normal(1e9, 1e8), 300], current: [normal(1.02e9, 1e8), 300] },
}

const CATEGORICAL: Readonly<Record<string, Recipe>> = {
  'the same shares': {
    reference: [oneOf({ a: 0.5, b: 0.3, c: 0.2 }), 400],
    current: [oneOf({ a: 0.5, b: 0.3, c: 0.2 }), 300],
  },
  'other shares': { reference: [oneOf({ a: 0.5, b: 0.5 }), 500], current: [oneOf({ a: 0.6, b: 0.4 }), 250] },
  'a new category': { reference: [oneOf({ a: 0.5, b: 0.5 }), 300], current: [oneOf({ a: 0.5, b: 0.4, c: 0.1 }), 200] },
  'a category gone': {
    reference: [oneOf({ a: 0.7, b: 0.28, c: 0.02 }), 600],
    current: [oneOf({ a: 0.7, b: 0.3 }), 300],
  },
  'nothing in common': { reference: [oneOf({ a: 1 }), 50], current: [oneOf({ b: 1 }), 50] },
  'a rare one': {
    reference: [oneOf({ a: 0.9995, b: 0.0005 }), 12_000],
    current: [oneOf({ a: 0.999, b: 0.001 }), 3000],
  },
  'one category only': { reference: [oneOf({ a: 1 }), 80], current: [oneOf({ a: 1 }), 40] },
}

/** For the model `columns` of server-image/model/testdata, whose features these are: 600 training rows, then 420 requests. */
const SERVED: Readonly<Record<string, Recipe>> = {
  age: { reference: [integer(18, 80), 600], current: [integer(25, 90), 420] },
  amount: { reference: [exponential(50), 600], current: [exponential(52), 420] },
  visits: { reference: [integer(0, 9), 600], current: [integer(0, 9), 420] },
  city: {
    reference: [oneOf({ Berlin: 0.5, Paris: 0.3, Rome: 0.2 }), 600],
    current: [oneOf({ Berlin: 0.4, Paris: 0.3, Rome: 0.2, Oslo: 0.1 }), 420],
  },
}

function sample([draw, size]: readonly [Draw, number], seed: number): (number | string)[] {
  const random = seeded(seed)
  return Array.from({ length: size }, () => draw(random))
}

function driftCases(kind: DriftCase['kind'], recipes: Readonly<Record<string, Recipe>>): DriftCase[] {
  return Object.entries(recipes).map(([name, { reference, current }], index) => ({
    name,
    kind,
    reference: sample(reference, 2 * index + 1),
    current: sample(current, 2 * index + 2),
  }))
}

function classification(name: string, classes: readonly (number | string)[], size: number): QualityCase {
  const random = seeded(size)
  const probabilities = Array.from({ length: size }, () => {
    const scores = classes.map(() => Math.ceil(random() * 100))
    const total = scores.reduce((sum, score) => sum + score, 0)
    return scores.map((score) => score / total)
  })
  const prediction = probabilities.map((row) => classes[row.indexOf(Math.max(...row))] ?? '')
  const truth = prediction.map((label) =>
    random() < 0.7 ? label : (classes[Math.floor(random() * classes.length)] ?? ''),
  )
  return { name, kind: 'classification', truth, prediction, classes, probabilities }
}

function regression(name: string, size: number): QualityCase {
  const truth = sample([normal(100, 20), size], 5) as number[]
  const noise = sample([normal(1, 5), size], 6) as number[]
  return {
    name,
    kind: 'regression',
    truth,
    prediction: truth.map((value, index) => rounded(value + (noise[index] ?? 0))),
  }
}

/** One for each feature that is served. */
export const SERVED_CASES: readonly DriftCase[] = driftCases('numeric', SERVED).map((each) =>
  each.name === 'city' ? { ...each, kind: 'categorical' } : each,
)

export const CASES: Cases = {
  drift: [...driftCases('numeric', NUMERIC), ...driftCases('categorical', CATEGORICAL), ...SERVED_CASES],
  quality: [
    classification('two classes', [0, 1], 200),
    classification('classes by name', ['cat', 'dog', 'fish', 'owl'], 321),
    regression('a regression', 150),
  ],
}

export function labelledAnswers({ truth, prediction, classes, probabilities }: QualityCase): LabelledAnswer[] {
  return truth.map((label, index) => {
    const place = classes?.indexOf(label) ?? -1
    const probabilityOfTruth = probabilities?.[index]?.[place]
    return {
      truth: label,
      prediction: prediction[index] ?? '',
      ...(probabilityOfTruth !== undefined && { probabilityOfTruth }),
    }
  })
}
