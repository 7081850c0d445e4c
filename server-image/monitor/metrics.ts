/** What the monitor knows, as Prometheus metrics. Law: every label's values come from the profile or from a fixed list. */
import { Gauge, type Registry } from 'prom-client'
import { CounterFamily } from '../metrics/plain.ts'
import type { FeatureDrift } from './drift.ts'
import type { DriftReport, Monitor } from './monitor.ts'
import type { Quality } from './quality.ts'

/** What became of a label: it agreed with the answer, it did not, it was a value's, another revision took it, or nobody knows its answer. */
export type FeedbackResult = 'correct' | 'wrong' | 'scored' | 'repeated' | 'passed-on' | 'unknown' | 'invalid'

export function feedbackCounter(registry: Registry): (result: FeedbackResult) => void {
  const family = new CounterFamily(registry, {
    name: 'penstock_feedback_total',
    help: 'Labels that came as feedback, by what became of them; correct and wrong add up over pods.',
  })
  return (result) => family.with({ result }).increment()
}

export function registerMonitorMetrics(registry: Registry, monitor: Monitor): void {
  registerFeatureGauges(registry, monitor)
  registerDatasetGauges(registry, monitor)
  registerQualityGauges(registry, monitor)
}

function registerFeatureGauges(registry: Registry, monitor: Monitor): void {
  const perFeature = (name: string, help: string, value: (feature: FeatureDrift) => number | undefined) =>
    new Gauge({
      name,
      help,
      labelNames: ['feature'],
      registers: [registry],
      async collect() {
        const { features } = await monitor.drift()
        this.reset()
        for (const feature of features) {
          const shown = value(feature)
          if (shown !== undefined) this.set({ feature: feature.name }, shown)
        }
      },
    })
  perFeature(
    'ml_feature_drift_score',
    'How far a feature of recent requests is from the reference profile, growing from 0; no value without a profile.',
    ({ score }) => score,
  )
  perFeature(
    'penstock_feature_drifted',
    'Whether a feature has drifted: its score is at the threshold or above.',
    (it) => Number(it.drifted),
  )
  perFeature(
    'penstock_feature_missing_share',
    'Share of the values of a feature of recent requests that are missing: NaN or infinite.',
    ({ missing }) => missing,
  )
  new Gauge({
    name: 'penstock_feature_drift',
    help: 'Every measure of a feature against the reference profile; p-values shrink as drift grows.',
    labelNames: ['feature', 'method'],
    registers: [registry],
    async collect() {
      const { features } = await monitor.drift()
      this.reset()
      for (const { name, measures } of features) {
        for (const [method, value] of Object.entries(measures)) this.set({ feature: name, method }, value)
      }
    },
  })
  new Gauge({
    name: 'penstock_prediction_drift',
    help: "How far recent predictions are from the model's predictions on the reference.",
    labelNames: ['method'],
    registers: [registry],
    async collect() {
      const { prediction } = await monitor.drift()
      this.reset()
      for (const [method, value] of Object.entries(prediction?.measures ?? {})) this.set({ method }, value)
    },
  })
}

/** Law: absent until there is something to say. A gauge that starts at 0 would look like perfect data, or a model always wrong. */
function absentOrValue(gauge: Gauge, value: number | undefined): void {
  if (value === undefined) gauge.remove()
  else gauge.set(value)
}

function registerDatasetGauges(registry: Registry, monitor: Monitor): void {
  const ofReport = (name: string, help: string, value: (report: DriftReport) => number | undefined) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        absentOrValue(this, value(await monitor.drift()))
      },
    })
  ofReport('penstock_dataset_drift_share', 'Share of the features that have drifted.', (report) => report.driftedShare)
  ofReport('penstock_dataset_drifted', 'Whether enough features have drifted to call it a drift of the data.', (it) =>
    it.drifted === undefined ? undefined : Number(it.drifted),
  )
  ofReport('penstock_drift_window_rows', 'Rows of recent requests that drift is judged from.', ({ seen }) => seen)
  ofReport('penstock_drift_sampled_rows', 'Rows of them that are kept and compared.', ({ sampled }) => sampled)
}

function registerQualityGauges(registry: Registry, monitor: Monitor): void {
  const ofQuality = (name: string, help: string, value: (quality: Quality) => number | undefined) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        absentOrValue(this, value(monitor.quality()))
      },
    })
  ofQuality('ml_accuracy', 'Accuracy against labels that came as feedback.', ({ accuracy }) => accuracy)
  ofQuality('ml_f1_macro', 'F1 score, averaged over the classes.', ({ f1Macro }) => f1Macro)
  ofQuality('ml_f1_positive', 'F1 score of the second of two classes.', ({ f1Positive }) => f1Positive)
  ofQuality('ml_log_loss', 'Logarithmic loss of the probabilities, in nats.', ({ logLoss }) => logLoss)
  ofQuality('ml_mae', 'Mean absolute error of a regression.', ({ meanAbsoluteError }) => meanAbsoluteError)
  ofQuality('ml_rmse', 'Root mean squared error of a regression.', (quality) => quality.rootMeanSquaredError)
  ofQuality('penstock_feedback_window_answers', 'Labelled answers that these scores are from.', ({ count }) => count)
}

export interface ModelFacts {
  readonly sizeBytes: number
  readonly loadMs: number
  /** Of one run with one row, warmed up; undefined when it was not run. */
  readonly runMs?: number | undefined
}

/** Once the model is loaded: CPU and memory of the process are prom-client's. */
export function registerModelFacts(registry: Registry, { sizeBytes, loadMs, runMs }: ModelFacts): void {
  const fact = (name: string, help: string, value: number) =>
    new Gauge({ name, help, registers: [registry] }).set(value)
  fact('penstock_model_size_bytes', 'Size of the model file.', sizeBytes)
  fact('penstock_model_load_seconds', 'Time that opening the model took.', loadMs / 1000)
  if (runMs !== undefined)
    fact(
      'penstock_model_run_seconds',
      'Median time of one run with one row, when the model was warmed up.',
      runMs / 1000,
    )
}
