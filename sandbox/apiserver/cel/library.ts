/** What Kubernetes adds to CEL (k8s.io/apiserver/pkg/cel/library): lists, regular expressions, quantities, URLs, sets, optional values. */
import {
  celEnv,
  celFunc,
  celList,
  celMap,
  celMethod,
  CelScalar,
  isCelMap,
  listType,
  mapType,
  type CelEnv,
  type CelInput,
  type CelList,
  type CelMap,
  type CelValue,
} from '@bufbuild/cel'
import { strings } from '@bufbuild/cel/ext'
import {
  addQuantities,
  approximateValue,
  compareQuantities,
  formatQuantity,
  negateQuantity,
  parseQuantity,
  wholeValue,
  type Quantity,
} from '../quantity.ts'
import { compilePattern } from '../crd/schema-node.ts'

const { BOOL, DOUBLE, DYN, INT, STRING } = CelScalar
const LIST = listType(DYN)
/** Values that CEL has no type for (quantities, URLs, optionals) are maps with one telling key. */
const BOX = mapType(STRING, DYN)
const QUANTITY_KEY = '$quantity'
const URL_KEY = '$url'
const OPTIONAL_KEY = '$optional'

function boxed(key: string, value: CelInput): CelMap {
  return celMap(new Map([[key, value]]))
}

function quantityOf(box: CelMap): Quantity {
  const text = box.get(QUANTITY_KEY)
  const quantity = typeof text === 'string' ? parseQuantity(text) : undefined
  if (!quantity) throw new Error('no such overload: not a quantity')
  return quantity
}

function toQuantity(value: CelValue): Quantity {
  if (typeof value === 'bigint') return { mantissa: value, exponent: 0, format: 'decimal' }
  if (isCelMap(value)) return quantityOf(value)
  throw new Error('no such overload: not a quantity')
}

const quantityBox = (quantity: Quantity): CelMap => boxed(QUANTITY_KEY, formatQuantity(quantity))

const quantities = [
  celFunc('quantity', [STRING], BOX, (text) => {
    const quantity = parseQuantity(text)
    if (!quantity)
      throw new Error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    return quantityBox(quantity)
  }),
  celFunc('isQuantity', [STRING], BOOL, (text) => parseQuantity(text) !== undefined),
  celMethod('isGreaterThan', BOX, [BOX], BOOL, function (other) {
    return compareQuantities(quantityOf(this), quantityOf(other)) > 0
  }),
  celMethod('isLessThan', BOX, [BOX], BOOL, function (other) {
    return compareQuantities(quantityOf(this), quantityOf(other)) < 0
  }),
  celMethod('compareTo', BOX, [BOX], INT, function (other) {
    return BigInt(compareQuantities(quantityOf(this), quantityOf(other)))
  }),
  celMethod('add', BOX, [DYN], BOX, function (other) {
    return quantityBox(addQuantities(quantityOf(this), toQuantity(other)))
  }),
  celMethod('sub', BOX, [DYN], BOX, function (other) {
    return quantityBox(addQuantities(quantityOf(this), negateQuantity(toQuantity(other))))
  }),
  celMethod('sign', BOX, [], INT, function () {
    const { mantissa } = quantityOf(this)
    return mantissa === 0n ? 0n : mantissa < 0n ? -1n : 1n
  }),
  celMethod('isInteger', BOX, [], BOOL, function () {
    return wholeValue(quantityOf(this)) !== undefined
  }),
  celMethod('asInteger', BOX, [], INT, function () {
    const whole = wholeValue(quantityOf(this))
    if (whole === undefined) throw new Error('cannot convert value to integer')
    return whole
  }),
  celMethod('asApproximateFloat', BOX, [], DOUBLE, function () {
    return approximateValue(quantityOf(this))
  }),
]

type Comparable = bigint | number | string

function comparables(list: CelList): Comparable[] {
  return [...list].map((value) => {
    if (typeof value === 'bigint' || typeof value === 'number' || typeof value === 'string') return value
    if (isCelMap(value) || value === null) throw new Error('no such overload')
    const message = value as { message?: { seconds?: bigint; nanos?: number } }
    const { seconds, nanos } = message.message ?? {}
    if (seconds === undefined) throw new Error('no such overload')
    return Number(seconds) + (nanos ?? 0) / 1e9
  })
}

function extreme(list: CelList, better: (a: Comparable, b: Comparable) => boolean): CelValue {
  const values = comparables(list)
  const items = [...list]
  let best = 0
  values.forEach((value, index) => {
    if (better(value, values[best] as Comparable)) best = index
  })
  const found = items[best]
  if (found === undefined) throw new Error('min/max called on empty list')
  return found
}

function sameScalar(left: CelValue, right: CelValue): boolean {
  if (left === right) return true
  const numeric = (value: CelValue): value is bigint | number => typeof value === 'bigint' || typeof value === 'number'
  return numeric(left) && numeric(right) && Number(left) === Number(right)
}

const lists = [
  celMethod('isSorted', LIST, [], BOOL, function () {
    const values = comparables(this)
    return values.every((value, index) => index === 0 || (values[index - 1] as Comparable) <= value)
  }),
  celMethod('sum', LIST, [], DYN, function () {
    const values = [...this]
    if (values.some((value) => typeof value === 'number'))
      return values.reduce<number>((sum, value) => sum + Number(value), 0)
    return values.reduce<bigint>((sum, value) => sum + (typeof value === 'bigint' ? value : 0n), 0n)
  }),
  celMethod('min', LIST, [], DYN, function () {
    return extreme(this, (a, b) => a < b)
  }),
  celMethod('max', LIST, [], DYN, function () {
    return extreme(this, (a, b) => a > b)
  }),
  celMethod('indexOf', LIST, [DYN], INT, function (wanted) {
    return BigInt([...this].findIndex((value) => sameScalar(value, wanted)))
  }),
  celMethod('lastIndexOf', LIST, [DYN], INT, function (wanted) {
    return BigInt([...this].findLastIndex((value) => sameScalar(value, wanted)))
  }),
  celFunc('sets.contains', [LIST, LIST], BOOL, (list, wanted) =>
    [...wanted].every((each) => [...list].some((value) => sameScalar(value, each))),
  ),
  celFunc('sets.intersects', [LIST, LIST], BOOL, (list, wanted) =>
    [...wanted].some((each) => [...list].some((value) => sameScalar(value, each))),
  ),
  celFunc('sets.equivalent', [LIST, LIST], BOOL, (left, right) => {
    const within = (inner: CelList, outer: CelList): boolean =>
      [...inner].every((each) => [...outer].some((value) => sameScalar(value, each)))
    return within(left, right) && within(right, left)
  }),
]

function expression(pattern: string): RegExp {
  const compiled = compilePattern(pattern)
  if (!compiled) throw new Error(`Illegal regex: ${pattern}`)
  return compiled
}

const regularExpressions = [
  celMethod('find', STRING, [STRING], STRING, function (pattern) {
    return expression(pattern).exec(this)?.[0] ?? ''
  }),
  celMethod('findAll', STRING, [STRING], LIST, function (pattern) {
    const { source, flags } = expression(pattern)
    return celList([...this.matchAll(new RegExp(source, `${flags}g`))].map(([found]) => found))
  }),
]

function textIn(box: CelMap, key: string): string {
  const text = box.get(key)
  if (typeof text !== 'string') throw new Error('no such overload: not a URL')
  return text
}

function urlOf(box: CelMap): URL {
  return new URL(textIn(box, URL_KEY))
}

const urls = [
  celFunc('isURL', [STRING], BOOL, (text) => URL.canParse(text) || text.startsWith('/')),
  celFunc('url', [STRING], BOX, (text) => {
    if (!URL.canParse(text))
      throw new Error(`URL parse error during conversion from string: parse ${JSON.stringify(text)}`)
    return boxed(URL_KEY, text)
  }),
  celMethod('getScheme', BOX, [], STRING, function () {
    return urlOf(this).protocol.replace(/:$/, '')
  }),
  celMethod('getHost', BOX, [], STRING, function () {
    return urlOf(this).host
  }),
  celMethod('getHostname', BOX, [], STRING, function () {
    return urlOf(this).hostname.replace(/^\[(.*)\]$/, '$1')
  }),
  celMethod('getPort', BOX, [], STRING, function () {
    return urlOf(this).port
  }),
  celMethod('getEscapedPath', BOX, [], STRING, function () {
    return urlOf(this).pathname
  }),
]

/** `oldSelf` of a rule with optionalOldSelf: nothing on create. */
export function optionalOf(value: CelInput | undefined): CelMap {
  return value === undefined
    ? celMap(new Map([[OPTIONAL_KEY, false]]))
    : celMap(
        new Map<string, CelInput>([
          [OPTIONAL_KEY, true],
          ['value', value],
        ]),
      )
}

const optionals = [
  celMethod('hasValue', BOX, [], BOOL, function () {
    return this.get(OPTIONAL_KEY) === true
  }),
  celMethod('value', BOX, [], DYN, function () {
    if (this.get(OPTIONAL_KEY) !== true) throw new Error('optional.none() dereference')
    return this.get('value') as CelInput
  }),
  celMethod('orValue', BOX, [DYN], DYN, function (fallback) {
    return (this.get(OPTIONAL_KEY) === true ? this.get('value') : fallback) as CelInput
  }),
]

const FUNCTIONS = [...strings, ...quantities, ...lists, ...regularExpressions, ...urls, ...optionals]

/** Names of functions and methods that a rule may call, besides operators. */
export const FUNCTION_NAMES: ReadonlySet<string> = new Set([
  ...FUNCTIONS.map((each) => each.name),
  ...'size matches contains startsWith endsWith int uint double string bytes bool duration timestamp type dyn'.split(
    ' ',
  ),
  ...'getDate getDayOfMonth getDayOfWeek getDayOfYear getFullYear getHours getMilliseconds getMinutes getMonth getSeconds'.split(
    ' ',
  ),
])

/** CEL as rules of CRDs have it. */
export function ruleEnvironment(): CelEnv {
  return celEnv({ funcs: FUNCTIONS, re2: { compile: expression } })
}
