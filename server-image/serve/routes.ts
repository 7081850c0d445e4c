import type { InferenceRoute } from './inference.ts'
import { inferRoute, type InferRouteOptions } from './v2/infer-route.ts'
import { modelPaths } from './v2/paths.ts'
import { predictBatchRoute, predictRoute } from './predict/predict-route.ts'

export interface RouteEntry {
  readonly route: InferenceRoute
  readonly summary: string
}

/** The inference routes by path. */
export function inferenceRoutes(options: InferRouteOptions): Map<string, RouteEntry> {
  const infer = { route: inferRoute(options), summary: 'V2: tensors in, tensors out' }
  return new Map([
    [
      '/predict',
      { route: predictRoute, summary: 'one row: {"features": [...]} or {"features": {"name": value, ...}}' },
    ],
    [
      '/predict/batch',
      { route: predictBatchRoute(options.maxInstances), summary: 'rows: {"instances": [[...], ...]}' },
    ],
    ...modelPaths(options).map((path): [string, RouteEntry] => [`${path}/infer`, infer]),
  ])
}
