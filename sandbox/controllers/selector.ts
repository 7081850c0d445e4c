import type { LabelSelector, LabelSelectorRequirement } from './objects.ts'

type Labels = Readonly<Record<string, string>> | undefined

/** Whether labels satisfy a selector. An empty selector matches everything; an absent one nothing (apimachinery's LabelSelectorAsSelector). */
export function matches(selector: LabelSelector | null | undefined, labels: Labels): boolean {
  if (selector === null || selector === undefined) return false
  const have = labels ?? {}
  if (!matchesAll(selector.matchLabels ?? {}, have)) return false
  return (selector.matchExpressions ?? []).every((requirement) => satisfies(requirement, have))
}

/** Whether every wanted label is there with the wanted value: a Service's selector. */
export function matchesAll(wanted: Readonly<Record<string, string>>, labels: Labels): boolean {
  return Object.entries(wanted).every(([key, value]) => labels?.[key] === value)
}

/** True for a selector that asks for nothing, which workload controllers treat as an error and so as matching nothing. */
export function isEmptySelector(selector: LabelSelector | null | undefined): boolean {
  return Object.keys(selector?.matchLabels ?? {}).length === 0 && (selector?.matchExpressions ?? []).length === 0
}

function satisfies(requirement: LabelSelectorRequirement, labels: Readonly<Record<string, string>>): boolean {
  const value = labels[requirement.key]
  const values = requirement.values ?? []
  switch (requirement.operator) {
    case 'In':
      return value !== undefined && values.includes(value)
    case 'NotIn':
      return value === undefined || !values.includes(value)
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
    default:
      return false
  }
}

/** Parses the string form that `/scale` gives (`a=b,c in (d,e),!f`) into a selector. Returns undefined for text it cannot read. */
export function parseSelector(text: string): LabelSelector | undefined {
  const matchExpressions: LabelSelectorRequirement[] = []
  for (const part of text.split(/,(?![^(]*\))/).map((piece) => piece.trim())) {
    if (part === '') continue
    const requirement = parseRequirement(part)
    if (requirement === undefined) return undefined
    matchExpressions.push(requirement)
  }
  return { matchExpressions }
}

function parseRequirement(part: string): LabelSelectorRequirement | undefined {
  const set = /^([^\s=!,()]+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(part)
  if (set?.[1] !== undefined) {
    const values = (set[3] ?? '').split(',').map((value) => value.trim())
    return { key: set[1], operator: set[2] === 'in' ? 'In' : 'NotIn', values }
  }
  const equality = /^([^\s=!,()]+)\s*(==|=|!=)\s*([^\s=!,()]*)$/.exec(part)
  if (equality?.[1] !== undefined) {
    return { key: equality[1], operator: equality[2] === '!=' ? 'NotIn' : 'In', values: [equality[3] ?? ''] }
  }
  const existence = /^(!?)\s*([^\s=!,()]+)$/.exec(part)
  if (existence?.[2] === undefined) return undefined
  return { key: existence[2], operator: existence[1] === '!' ? 'DoesNotExist' : 'Exists' }
}
