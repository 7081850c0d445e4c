/** Refuses, before ONNX Runtime sees it, a model that this server cannot run. The files it refers to are checked by `external-data`. */
import type { ValueType } from './graph.ts'
import type { ModelSummary } from './inspect.ts'
import { ModelError, quoted } from './model-error.ts'

/**
 * What the pinned onnxruntime-node accepts. A newer file is refused by ONNX Runtime too, but in words that help nobody;
 * `scan.test.ts` asks ONNX Runtime itself whether these numbers are still its own.
 */
export const RUNTIME_LIMITS = { irVersion: 13, opset: 26, mlOpset: 5 } as const

/** Domains whose operators ONNX Runtime's CPU build brings. */
const KNOWN_DOMAINS: ReadonlySet<string> = new Set([
  '',
  'ai.onnx.ml',
  'ai.onnx.training',
  'ai.onnx.preview',
  'ai.onnx.preview.training',
  'com.microsoft',
  'com.microsoft.experimental',
  'com.microsoft.nchwc',
  'com.ms.internal.nhwc',
])

export function scanModel(summary: ModelSummary): void {
  refuseNewerVersions(summary)
  refuseCustomOperators(summary)
  for (const input of summary.inputs) refuseUntransportable('input', input.name, input.type)
}

function refuseNewerVersions({ irVersion, opsets }: ModelSummary): void {
  const checks = [
    {
      what: 'ONNX IR version',
      version: irVersion,
      limit: RUNTIME_LIMITS.irVersion,
      remedy: 'set model.ir_version when you save it',
    },
    {
      what: 'ONNX opset',
      version: opsets[''] ?? 0,
      limit: RUNTIME_LIMITS.opset,
      remedy: 'export it with a lower target_opset',
    },
    {
      what: 'ai.onnx.ml opset',
      version: opsets['ai.onnx.ml'] ?? 0,
      limit: RUNTIME_LIMITS.mlOpset,
      remedy: 'export it with a lower target_opset',
    },
  ]
  for (const { what, version, limit, remedy } of checks) {
    if (version <= limit) continue
    throw new ModelError(
      'UnsupportedModel',
      `The model needs ${what} ${version}, but this server supports up to ${limit}; ${remedy}, or use a newer server image.`,
    )
  }
}

function refuseCustomOperators({ operators, localFunctions }: ModelSummary): void {
  const own = new Set(localFunctions)
  for (const operator of Object.keys(operators)) {
    const domain = operator.slice(0, Math.max(0, operator.lastIndexOf('.')))
    if (KNOWN_DOMAINS.has(domain) || own.has(operator)) continue
    throw new ModelError(
      'UnsupportedModel',
      `The model uses the custom operator ${quoted(operator)}, which this server does not have; export it with standard ONNX operators.`,
    )
  }
}

/** Inputs and outputs must be tensors of types that a request or an answer can carry. */
export function refuseUntransportable(role: 'input' | 'output', name: string, type: ValueType): void {
  const what = untransportable(type)
  if (what === undefined) return
  const remedy =
    role === 'input'
      ? 'export it with tensor inputs'
      : 'export it with tensor outputs (for scikit-learn: options={id(model): {"zipmap": False}})'
  throw new ModelError(
    'UnsupportedModel',
    `The ${role} ${quoted(name)} is ${what}, which this server cannot exchange; ${remedy}.`,
  )
}

function untransportable(type: ValueType): string | undefined {
  switch (type.kind) {
    case 'tensor':
      return type.datatype === undefined ? `a tensor of ONNX element type ${type.elementType}` : undefined
    case 'sequence':
      return type.of.kind === 'map' ? 'a sequence of maps' : 'a sequence'
    case 'map':
      return 'a map'
    case 'optional':
      return 'an optional value'
    case 'sparse':
      return 'a sparse tensor'
    case 'unknown':
      return 'of no declared type'
    default:
      return type satisfies never
  }
}
