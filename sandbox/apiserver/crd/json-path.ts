/** The part of JSONPath that CRDs may use for printer columns and selectable fields: `.a.b['c'][0][*][?(@.type=="Ready")]`. */
import { isObject, type Json } from '../json.ts'

type Step =
  | { readonly kind: 'field'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'all' }
  | { readonly kind: 'filter'; readonly path: readonly string[]; readonly operator: string; readonly value: string }

const STEP =
  /^(?:\.([A-Za-z0-9_\-$/]+)|\.?\['((?:[^'\\]|\\.)*)'\]|\[(-?\d+)\]|\.?\[?(\*)\]?|\[\?\(@\.([^\s=!]+)\s*(==|!=)\s*(?:"([^"]*)"|'([^']*)'|([^)\s]+))\)\])/

/** Parses a path; undefined when it is none of this part of JSONPath. */
export function parseJsonPath(text: string): readonly Step[] | undefined {
  const steps: Step[] = []
  let rest = text.startsWith('{') && text.endsWith('}') ? text.slice(1, -1) : text
  while (rest !== '') {
    const match = STEP.exec(rest)
    if (!match) return undefined
    steps.push(stepOf(match))
    rest = rest.slice(match[0].length)
  }
  return steps
}

function stepOf([, field, quoted, index, all, filterPath, operator = '', double, single, bare]: RegExpExecArray): Step {
  if (field !== undefined) return { kind: 'field', name: field }
  if (quoted !== undefined) return { kind: 'field', name: quoted.replaceAll(/\\(.)/g, '$1') }
  if (index !== undefined) return { kind: 'index', index: Number(index) }
  if (all !== undefined) return { kind: 'all' }
  return { kind: 'filter', path: (filterPath ?? '').split('.'), operator, value: double ?? single ?? bare ?? '' }
}

/** Every value that a path finds. */
export function findAll(root: Json | undefined, steps: readonly Step[]): Json[] {
  let found: Json[] = root === undefined ? [] : [root]
  for (const step of steps) found = found.flatMap((value) => take(value, step))
  return found
}

function take(value: Json, step: Step): Json[] {
  switch (step.kind) {
    case 'field': {
      const child = isObject(value) && Object.hasOwn(value, step.name) ? value[step.name] : undefined
      return child === undefined ? [] : [child]
    }
    case 'index': {
      const item = Array.isArray(value) ? value.at(step.index) : undefined
      return item === undefined ? [] : [item]
    }
    case 'all':
      if (Array.isArray(value)) return value
      return isObject(value) ? Object.values(value) : []
    case 'filter':
      return Array.isArray(value) ? value.filter((item) => matches(item, step)) : []
  }
}

function matches(item: Json, { path, operator, value }: Extract<Step, { kind: 'filter' }>): boolean {
  let found: Json | undefined = item
  for (const field of path) found = isObject(found) ? found[field] : undefined
  const equals = found !== undefined && (typeof found === 'string' ? found : JSON.stringify(found)) === value
  return operator === '==' ? equals : !equals
}

/** The fields of a path that has nothing but fields, e.g. `.spec.replicas`. */
export function plainFields(text: string): string[] {
  return (parseJsonPath(text) ?? []).flatMap((step) => (step.kind === 'field' ? [step.name] : []))
}
