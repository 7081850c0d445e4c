import type { InferenceRoute } from './inference.ts'
import { predictBatchRoute, predictRoute } from './predict/predict-route.ts'

export interface RouteOptions {
  readonly modelName: string
  readonly modelVersion: string
  /** Rows that one request may have. */
  readonly maxInstances: number
}

export interface RouteEntry {
  readonly route: InferenceRoute
  readonly summary: string
}

/** The inference routes by path. */
export function inferenceRoutes({ maxInstances }: RouteOptions): Map<string, RouteEntry> {
  return new Map([
    [
      '/predict',
      { route: predictRoute, summary: 'one row: {"features": [...]} or {"features": {"name": value, ...}}' },
    ],
    ['/predict/batch', { route: predictBatchRoute(maxInstances), summary: 'rows: {"instances": [[...], ...]}' }],
  ])
}
