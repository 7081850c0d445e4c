/** Kubernetes quantities (k8s.io/apimachinery/pkg/api/resource): `500m`, `1Gi`, `2e3`. Exact: value = mantissa * 10^exponent. */
export interface Quantity {
  readonly mantissa: bigint
  readonly exponent: number
  readonly format: 'decimal' | 'binary' | 'exponent'
}

const SHAPE = /^([+-]?)([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?[0-9]+)?$/
const BINARY: Record<string, bigint> = {
  Ki: 1024n,
  Mi: 1024n ** 2n,
  Gi: 1024n ** 3n,
  Ti: 1024n ** 4n,
  Pi: 1024n ** 5n,
  Ei: 1024n ** 6n,
}
const DECIMAL: Record<string, number> = { n: -9, u: -6, m: -3, '': 0, k: 3, M: 6, G: 9, T: 12, P: 15, E: 18 }

/** Parses a quantity; undefined when the text is none. */
export function parseQuantity(text: string): Quantity | undefined {
  const match = SHAPE.exec(text)
  if (!match) return undefined
  const [, sign = '', digits = '', suffix = ''] = match
  const [whole = '', fraction = ''] = digits.split('.')
  const mantissa = BigInt(`${whole}${fraction}` || '0') * (sign === '-' ? -1n : 1n)
  const binary = BINARY[suffix]
  if (binary !== undefined) return { mantissa: mantissa * binary, exponent: -fraction.length, format: 'binary' }
  const power = DECIMAL[suffix]
  if (power !== undefined) return { mantissa, exponent: power - fraction.length, format: 'decimal' }
  return { mantissa, exponent: Number(suffix.slice(1)) - fraction.length, format: 'exponent' }
}

/** -1, 0 or 1 */
export function compareQuantities(left: Quantity, right: Quantity): number {
  const exponent = Math.min(left.exponent, right.exponent)
  const difference = scaled(left, exponent) - scaled(right, exponent)
  return difference === 0n ? 0 : difference < 0n ? -1 : 1
}

export function addQuantities(left: Quantity, right: Quantity): Quantity {
  const exponent = Math.min(left.exponent, right.exponent)
  return { mantissa: scaled(left, exponent) + scaled(right, exponent), exponent, format: left.format }
}

export function negateQuantity(quantity: Quantity): Quantity {
  return { ...quantity, mantissa: -quantity.mantissa }
}

/** The value as a whole number, or undefined when it is none. */
export function wholeValue(quantity: Quantity): bigint | undefined {
  if (quantity.exponent >= 0) return scaled(quantity, 0)
  const divisor = 10n ** BigInt(-quantity.exponent)
  return quantity.mantissa % divisor === 0n ? quantity.mantissa / divisor : undefined
}

export function approximateValue(quantity: Quantity): number {
  return Number(`${quantity.mantissa}e${quantity.exponent}`)
}

/** The text that Kubernetes writes for a quantity: the largest suffix without a fraction; undefined when the text is no quantity. */
export function canonicalQuantity(text: string): string | undefined {
  const quantity = parseQuantity(text)
  return quantity && formatQuantity(quantity)
}

export function formatQuantity(quantity: Quantity): string {
  const whole = wholeValue(quantity)
  if (quantity.format === 'binary' && whole !== undefined) return formatBinary(whole)
  return formatDecimal(quantity)
}

function formatBinary(value: bigint): string {
  const magnitude = value < 0n ? -value : value
  if (magnitude < 1024n) return String(value)
  for (const [suffix, unit] of Object.entries(BINARY).reverse()) {
    if (value % unit === 0n) return `${value / unit}${suffix}`
  }
  return String(value)
}

function formatDecimal(quantity: Quantity): string {
  if (quantity.mantissa === 0n) return '0'
  let { mantissa, exponent } = roundUpToNano(quantity)
  while (mantissa % 10n === 0n) {
    mantissa /= 10n
    exponent += 1
  }
  while (exponent % 3 !== 0 || exponent > 18) {
    mantissa *= 10n
    exponent -= 1
  }
  if (quantity.format === 'exponent') return exponent === 0 ? String(mantissa) : `${mantissa}e${exponent}`
  const suffix = Object.entries(DECIMAL).find(([, power]) => power === exponent)?.[0] ?? ''
  return `${mantissa}${suffix}`
}

/** Nothing finer than 1e-9 is kept; what is lost is rounded away from zero. */
function roundUpToNano({ mantissa, exponent }: Quantity): { mantissa: bigint; exponent: number } {
  if (exponent >= -9) return { mantissa, exponent }
  const divisor = 10n ** BigInt(-9 - exponent)
  const quotient = mantissa / divisor
  const remainder = mantissa % divisor
  if (remainder === 0n) return { mantissa: quotient, exponent: -9 }
  return { mantissa: remainder > 0n ? quotient + 1n : quotient - 1n, exponent: -9 }
}

function scaled(quantity: Quantity, exponent: number): bigint {
  return quantity.mantissa * 10n ** BigInt(quantity.exponent - exponent)
}
