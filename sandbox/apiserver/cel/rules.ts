/** x-kubernetes-validations: compiled once when a CRD is stored, evaluated at every write of a custom resource. */
import { isCelError, parse, plan, type CelEnv, type CelInput, type CelResult } from '@bufbuild/cel'
import { forbiddenField, invalid, required, type FieldError } from '../field-error.ts'
import { equal, isObject, stringAt, type Json, type JsonObject } from '../json.ts'
import type { SchemaNode } from '../crd/schema-node.ts'
import { join, oldItem, type Judged } from '../crd/validate.ts'
import { problemsOf, usesOldSelf } from './check.ts'
import { optionalOf } from './library.ts'
import { toCel } from './values.ts'

/** How Go prints the missing path of an error at the root. */
const ROOT = '<nil>'

type Program = (bindings: Record<string, CelInput>) => CelResult

export interface CompiledRule {
  readonly text: string
  readonly message: string | undefined
  readonly messageExpression: Program | undefined
  readonly reason: string | undefined
  readonly fieldPath: string
  readonly usesOldSelf: boolean
  readonly optionalOldSelf: boolean
  readonly program: Program
}

/** The rules of a schema's nodes; a node that is missing has none, and none below it either unless it is listed. */
export interface RuleTree {
  readonly rules: ReadonlyMap<SchemaNode, readonly CompiledRule[]>
  readonly errors: readonly FieldError[]
}

/** Compiles every rule of a schema. `at` is where the schema stands in the CRD, for the errors. */
export function compileRules(root: SchemaNode, environment: CelEnv, at: string): RuleTree {
  const rules = new Map<SchemaNode, CompiledRule[]>()
  const errors: FieldError[] = []
  const visit = (node: SchemaNode): void => {
    const compiled = node.validations.flatMap((each, index) => {
      const path = `${node.place ? `${at}.${node.place}` : at}.x-kubernetes-validations[${index}]`
      return compileRule(each, node, { environment, errors, path, isResource: node === root || node.embedsResource })
    })
    if (compiled.length > 0) rules.set(node, compiled)
    for (const child of node.properties.values()) visit(child)
    if (node.items) visit(node.items)
    if (node.additional && node.additional !== true) visit(node.additional)
  }
  visit(root)
  return { rules, errors }
}

interface Compiling {
  readonly environment: CelEnv
  readonly errors: FieldError[]
  readonly path: string
  readonly isResource: boolean
}

function compileRule(validation: JsonObject, node: SchemaNode, at: Compiling): CompiledRule[] {
  const text = stringAt(validation, 'rule') ?? ''
  const optionalOldSelf = validation['optionalOldSelf'] === true
  if (text.trim() === '') {
    at.errors.push(required(`${at.path}.rule`, 'rule is not specified'))
    return []
  }
  const rule = compileExpression(text, node, { ...at, path: `${at.path}.rule`, optionalOldSelf })
  const messageText = stringAt(validation, 'messageExpression')
  const message =
    messageText === undefined
      ? undefined
      : compileExpression(messageText, node, { ...at, path: `${at.path}.messageExpression`, optionalOldSelf })
  const fieldPath = (stringAt(validation, 'fieldPath') ?? '').replace(/^\./, '')
  if (!namesField(node, fieldPath)) {
    const detail = `fieldPath must be a valid path: does not refer to a valid field`
    at.errors.push(invalid(`${at.path}.fieldPath`, validation['fieldPath'], detail))
  }
  if (!rule) return []
  return [
    {
      text,
      message: stringAt(validation, 'message'),
      messageExpression: message?.program,
      reason: stringAt(validation, 'reason'),
      fieldPath,
      usesOldSelf: rule.usesOldSelf,
      optionalOldSelf,
      program: rule.program,
    },
  ]
}

/** Does a path of field names lead to a field of the schema? */
function namesField(node: SchemaNode, path: string): boolean {
  let at: SchemaNode | undefined = node
  for (const field of path === '' ? [] : path.split('.')) at = at?.properties.get(field)
  return at !== undefined
}

function compileExpression(
  text: string,
  node: SchemaNode,
  at: Compiling & { optionalOldSelf: boolean },
): { program: Program; usesOldSelf: boolean } | undefined {
  const refuse = (problem: string): undefined => {
    at.errors.push(invalid(at.path, text, `compilation failed: ERROR: ${problem}\n | ${text}`))
    return undefined
  }
  try {
    const parsed = parse(text)
    const [problem] = problemsOf(parsed.expr, node, at.isResource, at.optionalOldSelf)
    if (problem !== undefined) return refuse(`<input>:1:1: ${problem}`)
    return { program: plan(at.environment, parsed), usesOldSelf: usesOldSelf(parsed.expr) }
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error))
  }
}

/** Evaluates all rules of an object; transition rules (those with oldSelf) only where there is an old value to compare with. */
export function validateByRules(
  object: Json,
  old: Json | undefined,
  root: SchemaNode,
  { rules }: RuleTree,
): FieldError[] {
  if (rules.size === 0) return []
  const errors: FieldError[] = []
  const walk = (at: Judged, node: SchemaNode): void => {
    const { value, path } = at
    if (value === null) return
    const own = rules.get(node)
    if (own) errors.push(...evaluateAll(own, at, node, node === root))
    if (Array.isArray(value) && node.items) {
      const { items } = node
      value.forEach((each, index) =>
        walk({ value: each, old: oldItem(each, at.old, node), path: `${path}[${index}]` }, items),
      )
    } else if (isObject(value)) {
      const before = isObject(at.old) && !node.atomicMap ? at.old : {}
      for (const [field, each] of Object.entries(value)) {
        const child = node.properties.get(field) ?? (node.additional === true ? undefined : node.additional)
        if (child) walk({ value: each, old: before[field], path: join(path, field) }, child)
      }
    }
  }
  walk({ value: object, old, path: '' }, root)
  return errors
}

function evaluateAll(rules: readonly CompiledRule[], at: Judged, node: SchemaNode, isRoot: boolean): FieldError[] {
  const unchanged = at.old !== undefined && equal(at.value, at.old)
  const due = rules.filter((rule) => (rule.usesOldSelf ? at.old !== undefined || rule.optionalOldSelf : !unchanged))
  if (due.length === 0) return []
  const self = toCel(at.value, node, isRoot)
  const oldSelf = at.old === undefined || at.old === null ? undefined : toCel(at.old, node, isRoot)
  return due.flatMap((rule) => {
    const old = rule.optionalOldSelf ? optionalOf(oldSelf) : oldSelf
    return evaluate(
      rule,
      { self, ...(old === undefined ? {} : { oldSelf: old }) },
      { path: at.path, type: node.type ?? '', value: at.value },
    )
  })
}

interface RuledValue {
  readonly path: string
  readonly type: string
  readonly value: Json
}

function evaluate(rule: CompiledRule, bindings: Record<string, CelInput>, at: RuledValue): FieldError[] {
  const result = rule.program(bindings)
  if (result === true) return []
  const shown = (rule.message ?? rule.text).trim()
  if (isCelError(result)) return [invalid(at.path || ROOT, at.type, `${errorText(result.message, shown)}${shown}`)]
  const path = (rule.fieldPath ? join(at.path, rule.fieldPath) : at.path) || ROOT
  return [failure(rule.reason, { path, value: at.value }, messageOf(rule, bindings))]
}

function errorText(message: string, _rule: string): string {
  if (message.includes('no matching overload')) {
    return "'no such overload': call arguments did not match a supported operator, function or macro signature for rule: "
  }
  return `${message.replace(/^field not found: /, 'no such key: ')} evaluating rule: `
}

function messageOf(rule: CompiledRule, bindings: Record<string, CelInput>): string {
  const computed = rule.messageExpression?.(bindings)
  if (typeof computed === 'string' && computed.trim() !== '' && !computed.trim().includes('\n')) return computed.trim()
  return rule.message === undefined ? `failed rule: ${rule.text.trim()}` : rule.message.trim()
}

function failure(
  reason: string | undefined,
  { path, value }: { path: string; value: Json },
  detail: string,
): FieldError {
  // Objects and lists are not shown: they may be large.
  const isWhole = isObject(value) || Array.isArray(value)
  switch (reason) {
    case 'FieldValueForbidden':
      return forbiddenField(path, detail)
    case 'FieldValueRequired':
      return required(path, detail)
    case 'FieldValueDuplicate':
      return { reason, field: path, message: isWhole ? 'Duplicate value' : `Duplicate value: ${JSON.stringify(value)}` }
    default:
      return isWhole
        ? { reason: 'FieldValueInvalid', field: path, message: `Invalid value: ${detail}` }
        : invalid(path, value, detail)
  }
}
