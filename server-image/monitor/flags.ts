/** The flags of `serve` that choose how the model is monitored. */
import { Option } from 'commander'
import { DRIFT_METHODS, type DriftMethod } from './drift.ts'
import { positiveNumber, wholeNumber } from './flag-values.ts'
import { DEFAULT_MONITORING, type MonitorSettings } from './settings.ts'

export interface MonitorFlags {
  readonly profile?: string
  readonly driftMethod: DriftMethod
  readonly driftThreshold: number
  readonly driftShare: number
  readonly driftMinRows: number
  readonly driftWindowSeconds: number
  readonly driftWindowRows: number
  readonly driftSampleRows: number
  readonly driftHalfLifeSeconds?: number
  readonly feedbackWindow: number
}

const { rule, datasetShare, minRows, window, feedbackWindow } = DEFAULT_MONITORING

export const MONITOR_OPTIONS: readonly Option[] = [
  new Option('--profile <path>', 'the reference profile that drift is measured against; made by "profile"'),
  new Option('--drift-method <method>', "what a feature's score is; auto: wasserstein for numbers, else jensenshannon")
    .choices(DRIFT_METHODS)
    .default(rule.method),
  new Option('--drift-threshold <score>', 'score from which on a feature has drifted')
    .argParser(positiveNumber(Infinity))
    .default(rule.threshold),
  new Option('--drift-share <share>', 'share of drifted features from which on the data has drifted')
    .argParser(positiveNumber(1))
    .default(datasetShare),
  new Option('--drift-min-rows <rows>', 'rows below which nothing is said about drift')
    .argParser(wholeNumber(1))
    .default(minRows),
  new Option('--drift-window-seconds <seconds>', 'requests older than this are forgotten')
    .argParser(wholeNumber(1))
    .default(window.windowMs / 1000),
  new Option('--drift-window-rows <rows>', 'rows after which older ones are forgotten')
    .argParser(wholeNumber(1))
    .default(window.windowRows),
  new Option('--drift-sample-rows <rows>', 'rows of the window that are kept and compared')
    .argParser(wholeNumber(100, 100_000))
    .default(window.sampleRows),
  new Option(
    '--drift-half-life-seconds <seconds>',
    'age at which a row counts half; without it all count the same',
  ).argParser(wholeNumber(1)),
  new Option('--feedback-window <answers>', 'labelled answers that accuracy is computed from')
    .argParser(wholeNumber(1, 1_000_000))
    .default(feedbackWindow),
]

export function monitorSettingsOf(flags: MonitorFlags): MonitorSettings {
  const { profile, driftHalfLifeSeconds } = flags
  return {
    ...DEFAULT_MONITORING,
    ...(profile !== undefined && { profilePath: profile }),
    rule: { method: flags.driftMethod, threshold: flags.driftThreshold },
    datasetShare: flags.driftShare,
    minRows: flags.driftMinRows,
    window: {
      windowMs: flags.driftWindowSeconds * 1000,
      windowRows: flags.driftWindowRows,
      sampleRows: flags.driftSampleRows,
      ...(driftHalfLifeSeconds !== undefined && { halfLifeMs: driftHalfLifeSeconds * 1000 }),
    },
    feedbackWindow: flags.feedbackWindow,
  }
}
