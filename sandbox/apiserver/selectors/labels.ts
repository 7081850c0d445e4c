import { badRequest } from '../status.ts'

export type LabelPredicate = (labels: Readonly<Record<string, unknown>>) => boolean

const EVERYTHING: LabelPredicate = () => true

/**
 * Parses a label selector, `app=x,tier in (a,b),!canary`. Throws 400 with what is wrong.
 * As in Kubernetes, `!=` and `notin` match objects that lack the key.
 */
export function parseLabelSelector(text: string): LabelPredicate {
  if (text.trim() === '') return EVERYTHING
  const requirements = splitOutsideParentheses(text).map((part) => parseRequirement(part.trim(), text))
  return (labels) => requirements.every((matches) => matches(labels))
}

function splitOutsideParentheses(text: string): string[] {
  return text.split(/,(?![^(]*\))/)
}

function parseRequirement(part: string, whole: string): LabelPredicate {
  const set = /^(\S+)\s+(in|notin)\s+\(([^()]*)\)$/.exec(part)
  if (set) {
    const [, key = '', operator, list = ''] = set
    const values = new Set(list.split(',').map((value) => value.trim()))
    return operator === 'in'
      ? (labels) => Object.hasOwn(labels, key) && values.has(String(labels[key]))
      : (labels) => !Object.hasOwn(labels, key) || !values.has(String(labels[key]))
  }
  const comparison = /^([^\s=!<>(),]+)\s*(==|=|!=|>|<)\s*([^\s=!<>(),]*)$/.exec(part)
  if (comparison) return compare(comparison[1] ?? '', comparison[2] ?? '', comparison[3] ?? '')
  const existence = /^(!?)\s*([^\s=!<>(),]+)$/.exec(part)
  if (existence) {
    const [, negated, key = ''] = existence
    return negated ? (labels) => !Object.hasOwn(labels, key) : (labels) => Object.hasOwn(labels, key)
  }
  throw badRequest(`unable to parse requirement: found '${part}', expected: identifier in ${JSON.stringify(whole)}`)
}

function compare(key: string, operator: string, value: string): LabelPredicate {
  switch (operator) {
    case '!=':
      return (labels) => !Object.hasOwn(labels, key) || String(labels[key]) !== value
    case '>':
      return (labels) => Object.hasOwn(labels, key) && Number(labels[key]) > Number(value)
    case '<':
      return (labels) => Object.hasOwn(labels, key) && Number(labels[key]) < Number(value)
    default:
      return (labels) => Object.hasOwn(labels, key) && String(labels[key]) === value
  }
}
