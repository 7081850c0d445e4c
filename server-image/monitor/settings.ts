import type { DriftRule } from './drift.ts'
import type { WindowOptions } from './row-window.ts'

/** What an operator of the server may choose about its monitoring. */
export interface MonitorSettings {
  /** Path of the reference profile; without it there are no drift scores. */
  readonly profilePath?: string
  readonly rule: DriftRule
  /** The data as a whole has drifted when at least this share of the features has. */
  readonly datasetShare: number
  /** Rows below which nothing is said about drift: a handful differs from any reference. */
  readonly minRows: number
  readonly window: Omit<WindowOptions, 'random'>
  /** Labelled answers that accuracy and its friends are computed from: the latest. */
  readonly feedbackWindow: number
  /** Answers that can still get a label, and numbers in them. */
  readonly maxAnswers: number
  readonly maxNumbers: number
}

export const DEFAULT_MONITORING: MonitorSettings = {
  rule: { method: 'auto', threshold: 0.1 },
  datasetShare: 0.5,
  minRows: 100,
  window: { windowMs: 3_600_000, windowRows: 60_000, sampleRows: 1200 },
  feedbackWindow: 10_000,
  maxAnswers: 20_000,
  maxNumbers: 400_000,
}
