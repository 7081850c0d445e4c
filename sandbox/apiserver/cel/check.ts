/** What a rule may refer to: variables, functions and the fields of its schema. Finds mistakes when a CRD is created, not when an object is. */
import type { parse } from '@bufbuild/cel'
import type { SchemaNode } from '../crd/schema-node.ts'
import { FUNCTION_NAMES } from './library.ts'
import { escapeField } from './values.ts'

type Expr = ReturnType<typeof parse>['expr']

/** What is known of a value: its schema, or nothing. */
type Known = SchemaNode | 'resource metadata' | undefined

interface Scope {
  readonly variables: ReadonlyMap<string, Known>
  readonly problems: string[]
  readonly root: SchemaNode
  readonly isResource: boolean
}

const TYPE_NAMES = new Set('int uint double bool string bytes list map null_type type google'.split(' '))
const METADATA = 'resource metadata'

/** The problems of a parsed rule; none for a good one. */
export function problemsOf(
  expression: Expr,
  schema: SchemaNode,
  isResource: boolean,
  optionalOldSelf: boolean,
): string[] {
  const problems: string[] = []
  const variables = new Map<string, Known>([
    ['self', schema],
    ['oldSelf', optionalOldSelf ? undefined : schema],
  ])
  visit(expression, { variables, problems, root: schema, isResource })
  return problems
}

/** Does the expression mention oldSelf? */
export function usesOldSelf(expression: Expr): boolean {
  return JSON.stringify(expression, (_key, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  ).includes('"name":"oldSelf"')
}

function visit(expression: Expr | undefined, scope: Scope): Known {
  const kind = expression?.exprKind
  switch (kind?.case) {
    case 'identExpr':
      return identifier(kind.value.name, scope)
    case 'selectExpr':
      return select(visit(kind.value.operand, scope), kind.value.field, scope)
    case 'callExpr':
      return call(kind.value, scope)
    case 'listExpr':
      for (const each of kind.value.elements) visit(each, scope)
      return undefined
    case 'structExpr':
      for (const entry of kind.value.entries) {
        if (entry.keyKind.case === 'mapKey') visit(entry.keyKind.value, scope)
        visit(entry.value, scope)
      }
      return undefined
    case 'comprehensionExpr':
      return comprehension(kind.value, scope)
    default:
      return undefined
  }
}

function identifier(name: string, scope: Scope): Known {
  if (scope.variables.has(name)) return scope.variables.get(name)
  if (!TYPE_NAMES.has(name)) scope.problems.push(`undeclared reference to '${name}' (in container '')`)
  return undefined
}

function select(operand: Known, field: string, scope: Scope): Known {
  if (operand === undefined) return undefined
  if (operand === METADATA) {
    if (field !== 'name' && field !== 'generateName') scope.problems.push(`undefined field '${field}'`)
    return undefined
  }
  const isResource = operand.embedsResource || (operand === scope.root && scope.isResource)
  if (isResource && field === 'metadata') return METADATA
  if (isResource && (field === 'apiVersion' || field === 'kind')) return undefined
  return selectFrom(operand, field, scope)
}

function selectFrom(operand: SchemaNode, field: string, scope: Scope): Known {
  for (const [name, child] of operand.properties) if (escapeField(name) === field) return child
  if (operand.additional !== undefined) return operand.additional === true ? undefined : operand.additional
  if (operand.type === 'object' && !operand.preservesUnknown) scope.problems.push(`undefined field '${field}'`)
  else if (operand.type !== 'object' && operand.type !== undefined) {
    scope.problems.push(`type '${operand.type}' does not support field selection`)
  }
  return undefined
}

function call(value: { function: string; target?: Expr | undefined; args: Expr[] }, scope: Scope): Known {
  const name = value.function
  const namespaced =
    value.target?.exprKind.case === 'identExpr' && FUNCTION_NAMES.has(`${value.target.exprKind.value.name}.${name}`)
  const target = namespaced ? undefined : visit(value.target, scope)
  const args = value.args.map((each) => visit(each, scope))
  const operator = /^[_@!-]|_in_|^$/.test(name) || name === '@in'
  if (!operator && !namespaced && !FUNCTION_NAMES.has(name))
    scope.problems.push(`undeclared reference to '${name}' (in container '')`)
  if (name === '_[_]') return elementOf(args[0])
  return name === 'filter' ? target : undefined
}

function elementOf(list: Known): Known {
  if (list === undefined || list === METADATA) return undefined
  if (list.type === 'array') return list.items
  return list.additional === true ? undefined : list.additional
}

function comprehension(
  value: {
    iterVar: string
    iterVar2: string
    accuVar: string
    iterRange?: Expr | undefined
    accuInit?: Expr | undefined
    loopCondition?: Expr | undefined
    loopStep?: Expr | undefined
    result?: Expr | undefined
  },
  scope: Scope,
): Known {
  const range = visit(value.iterRange, scope)
  visit(value.accuInit, scope)
  const overKeys = range !== undefined && range !== METADATA && range.type === 'object'
  const variables = new Map(scope.variables)
  variables.set(value.accuVar, undefined)
  variables.set(value.iterVar, overKeys ? undefined : elementOf(range))
  if (value.iterVar2) variables.set(value.iterVar2, undefined)
  const inner = { ...scope, variables }
  for (const part of [value.loopCondition, value.loopStep, value.result]) visit(part, inner)
  return undefined
}
