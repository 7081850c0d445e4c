import type { InferenceRoute } from './inference.ts'
import { inferRoute, type InferRouteOptions } from './v2/infer-route.ts'
import { modelPaths, v1PredictPath } from './v2/paths.ts'
import { predictBatchRoute, predictRoute, predictV1Route } from './predict/predict-route.ts'

export interface RouteEntry {
  readonly route: InferenceRoute
  readonly summary: string
}

/** The inference routes by path. */
export function inferenceRoutes(options: InferRouteOptions): Map<string, RouteEntry> {
  const infer = inferRoute(options)
  const [path, versionPath] = modelPaths(options)
  return new Map<string, RouteEntry>([
    [
      '/predict',
      { route: predictRoute, summary: 'one row: {"features": [...]} or {"features": {"name": value, ...}}' },
    ],
    [
      '/predict/batch',
      { route: predictBatchRoute(options.maxInstances), summary: 'rows: {"instances": [[...], ...]}' },
    ],
    [
      v1PredictPath(options.modelName),
      { route: predictV1Route(options.maxInstances), summary: 'KServe V1: rows: {"instances": [[...], ...]}' },
    ],
    [`${path}/infer`, { route: infer, summary: 'V2: tensors in, tensors out' }],
    [
      `${versionPath}/infer`,
      { route: { ...infer, isPinned: true }, summary: 'V2: the same, by this version and no other' },
    ],
  ])
}
