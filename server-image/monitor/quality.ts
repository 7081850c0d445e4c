/**
 * How good the model's recent answers were, measured by labels that came later. The last answers with a label are kept, in numbers
 * only, so that memory is bounded and an old model's mistakes do not haunt the figures.
 */

export interface LabelledAnswer {
  readonly truth: number | string
  readonly prediction: number | string
  /** That the model gave to the true class; undefined when it gives no probabilities. */
  readonly probabilityOfTruth?: number
}

export type Task = 'classification' | 'regression'

/** What cannot be told (no answers, or no probabilities) is left out. Definitions as scikit-learn's. */
export interface Quality {
  /** Labelled answers in the window; those of a regression that are no finite number are left out of its errors. */
  readonly count: number
  readonly accuracy?: number
  /** Unweighted mean over the classes, 0 for one that was never right. */
  readonly f1Macro?: number
  /** Of the second class, when there are two. */
  readonly f1Positive?: number
  readonly logLoss?: number
  readonly meanAbsoluteError?: number
  readonly rootMeanSquaredError?: number
}

/** scikit-learn clips probabilities by the precision of their type before the logarithm. */
const LEAST_PROBABILITY = 2.220446049250313e-16

export class QualityWindow {
  readonly #task: Task
  readonly #capacity: number
  readonly #answers: LabelledAnswer[] = []
  #next = 0

  constructor(task: Task, capacity: number) {
    this.#task = task
    this.#capacity = capacity
  }

  add(answer: LabelledAnswer): void {
    this.#answers[this.#next] = answer
    this.#next = (this.#next + 1) % this.#capacity
  }

  quality(classes?: readonly (number | string)[]): Quality {
    const answers = this.#answers
    if (answers.length === 0) return { count: 0 }
    return this.#task === 'regression' ? errorsOf(answers) : scoresOf(answers, classes)
  }
}

function errorsOf(answers: readonly LabelledAnswer[]): Quality {
  let [absolute, squared, finite] = [0, 0, 0]
  for (const { truth, prediction } of answers) {
    const error = Number(truth) - Number(prediction)
    if (!Number.isFinite(error)) continue
    finite += 1
    absolute += Math.abs(error)
    squared += error * error
  }
  const count = answers.length
  if (finite === 0) return { count }
  return { count, meanAbsoluteError: absolute / finite, rootMeanSquaredError: Math.sqrt(squared / finite) }
}

interface ClassCounts {
  predicted: number
  actual: number
  both: number
}

function scoresOf(answers: readonly LabelledAnswer[], classes?: readonly (number | string)[]): Quality {
  const counts = new Map<number | string, ClassCounts>()
  const of = (label: number | string) => {
    const found = counts.get(label) ?? { predicted: 0, actual: 0, both: 0 }
    counts.set(label, found)
    return found
  }
  let right = 0
  let loss = 0
  for (const { truth, prediction, probabilityOfTruth } of answers) {
    of(prediction).predicted += 1
    of(truth).actual += 1
    if (prediction === truth) {
      of(truth).both += 1
      right += 1
    }
    loss -= Math.log(Math.min(1, Math.max(LEAST_PROBABILITY, probabilityOfTruth ?? NaN)))
  }
  const f1s = [...counts.values()].map(f1)
  const positive = positiveClass([...counts.keys()], classes)
  return {
    count: answers.length,
    accuracy: right / answers.length,
    f1Macro: f1s.reduce((sum, score) => sum + score, 0) / f1s.length,
    ...(positive !== undefined && { f1Positive: f1(counts.get(positive) ?? { predicted: 0, actual: 0, both: 0 }) }),
    ...(!Number.isNaN(loss) && { logLoss: loss / answers.length }),
  }
}

function f1({ predicted, actual, both }: ClassCounts): number {
  return predicted + actual === 0 ? 0 : (2 * both) / (predicted + actual)
}

/** The second of the model's two classes; of 0 and 1, or false and true, when the model does not name them. */
function positiveClass(
  seen: readonly (number | string)[],
  classes?: readonly (number | string)[],
): number | string | undefined {
  if (classes !== undefined) return classes.length === 2 ? classes[1] : undefined
  return seen.every((label) => label === 0 || label === 1) ? 1 : undefined
}
