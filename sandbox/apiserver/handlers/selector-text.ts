import { isObject, listAt, objectAt, objectsAt, stringAt, textOf, type Json } from '../json.ts'

/** A label selector (object or text) in the form that query parameters use: `app=x,tier in (a,b)`. */
export function selectorText(selector: Json | undefined): string {
  if (typeof selector === 'string') return selector
  if (!isObject(selector)) return ''
  const labels = Object.entries(objectAt(selector, 'matchLabels') ?? {}).map(
    ([key, value]) => `${key}=${textOf(value)}`,
  )
  const expressions = objectsAt(selector, 'matchExpressions').map((expression) => {
    const key = stringAt(expression, 'key') ?? ''
    const values = listAt(expression, 'values').map(textOf).sort().join(',')
    switch (stringAt(expression, 'operator')) {
      case 'In':
        return `${key} in (${values})`
      case 'NotIn':
        return `${key} notin (${values})`
      case 'DoesNotExist':
        return `!${key}`
      default:
        return key
    }
  })
  return [...labels.sort(), ...expressions.sort()].join(',')
}
