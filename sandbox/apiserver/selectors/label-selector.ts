import { listAt, objectAt, objectsAt, stringAt, type JsonObject } from '../json.ts'

/** Does a metav1.LabelSelector select these labels? An empty selector selects everything, a missing one nothing. */
export function matchesLabelSelector(selector: JsonObject | undefined, labels: JsonObject): boolean {
  if (!selector) return false
  const wanted = Object.entries(objectAt(selector, 'matchLabels') ?? {})
  if (!wanted.every(([key, value]) => labels[key] === value)) return false
  return objectsAt(selector, 'matchExpressions').every((expression) => matchesExpression(expression, labels))
}

function matchesExpression(expression: JsonObject, labels: JsonObject): boolean {
  const key = stringAt(expression, 'key') ?? ''
  const present = Object.hasOwn(labels, key)
  const listed = present && listAt(expression, 'values').includes(labels[key] ?? null)
  switch (stringAt(expression, 'operator')) {
    case 'In':
      return listed
    case 'NotIn':
      return !listed
    case 'Exists':
      return present
    case 'DoesNotExist':
      return !present
    default:
      return false
  }
}
