const SUFFIXES: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
}

const QUANTITY = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)$/

/** The value of a resource.Quantity (`1`, `"1000m"`, `"1.5Gi"`, `"1e3"`); undefined for anything else. */
export function quantityValue(quantity: unknown): number | undefined {
  if (typeof quantity === 'number') return quantity
  if (typeof quantity !== 'string') return undefined
  const match = QUANTITY.exec(quantity)
  if (match === null) return undefined
  const [, digits = '', exponent, suffix = ''] = match
  const value = exponent === undefined ? Number(digits) * (SUFFIXES[suffix] ?? NaN) : Number(digits + exponent)
  return Number(value.toPrecision(15))
}
