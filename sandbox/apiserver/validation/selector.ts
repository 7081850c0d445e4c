import { forbiddenField, invalid, required, type FieldError } from '../field-error.ts'
import { listAt, objectAt, objectsAt, stringAt, type JsonObject, textOf } from '../json.ts'
import { labelValueProblems, qualifiedNameProblems } from './names.ts'

/** A metav1.LabelSelector at a path. */
export function validateLabelSelector(selector: JsonObject, path: string): FieldError[] {
  const labels = Object.entries(objectAt(selector, 'matchLabels') ?? {}).flatMap(([key, value]) => [
    ...qualifiedNameProblems(key).map((problem) => invalid(`${path}.matchLabels`, key, problem)),
    ...labelValueProblems(textOf(value)).map((problem) => invalid(`${path}.matchLabels`, value, problem)),
  ])
  const expressions = objectsAt(selector, 'matchExpressions').flatMap((each, index) =>
    validateExpression(each, `${path}.matchExpressions[${index}]`),
  )
  return [...labels, ...expressions]
}

function validateExpression(expression: JsonObject, path: string): FieldError[] {
  const operator = stringAt(expression, 'operator') ?? ''
  const values = listAt(expression, 'values')
  const key = stringAt(expression, 'key') ?? ''
  const errors = qualifiedNameProblems(key).map((problem) => invalid(`${path}.key`, key, problem))
  switch (operator) {
    case 'In':
    case 'NotIn':
      if (values.length === 0)
        errors.push(required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'"))
      break
    case 'Exists':
    case 'DoesNotExist':
      if (values.length > 0)
        errors.push(
          forbiddenField(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
        )
      break
    default:
      errors.push(invalid(`${path}.operator`, operator, 'not a valid selector operator'))
  }
  return errors
}
