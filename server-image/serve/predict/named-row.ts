import type { TabularSignature } from '../../model/signature.ts'
import { ApiError } from '../api-error.ts'

/**
 * A row given by the features' names, `{"age": 31, ...}`, in the order that the model takes. Anything that is no object is
 * returned as it is.
 * @throws ApiError `invalid_input` when a name is missing or unknown
 */
export function namedRow(signature: TabularSignature, value: unknown, path: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const { features } = signature
  if (features.length === 0) {
    throw new ApiError('invalid_input', `${path} must be an array: this model's features have no names.`, {
      field: path,
    })
  }
  const given = value as Record<string, unknown>
  const row = features.map(({ name }) => {
    if (!Object.hasOwn(given, name)) {
      const field = `${path}.${name}`
      throw new ApiError('invalid_input', `${field} is missing; the model needs ${expected(signature)}.`, { field })
    }
    return given[name]
  })
  const names = Object.keys(given)
  if (names.length > features.length) {
    const known = new Set(features.map(({ name }) => name))
    const unknown = (names.find((name) => !known.has(name)) ?? '').slice(0, 80)
    const field = `${path}.${unknown}`
    throw new ApiError('invalid_input', `${field} is no feature of this model; it has ${expected(signature)}.`, {
      field,
    })
  }
  return row
}

const MAX_NAMES = 10

function expected({ features }: TabularSignature): string {
  const names = features.slice(0, MAX_NAMES).map(({ name }) => name)
  return features.length > MAX_NAMES ? `${names.join(', ')} and ${features.length - MAX_NAMES} more` : names.join(', ')
}
