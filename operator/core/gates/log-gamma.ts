const HALF_LOG_TWO_PI = 0.9189385332046727
/** Coefficients B(2m) / (2m (2m-1)) of Stirling's series, m = 7..1 (Abramowitz & Stegun 6.1.41). */
const STIRLING_FROM_LAST = [1 / 156, -691 / 360_360, 1 / 1188, -1 / 1680, 1 / 1260, -1 / 360, 1 / 12]
/** From here on seven terms of the series are exact to the last bit of a double. */
const SERIES_FROM = 10

/**
 * Natural logarithm of the gamma function for x > 0, with an absolute error of about 1e-14 below x = 100 and a relative one of
 * about 1e-15 above: small arguments are lifted by gamma(x + 1) = x gamma(x), then Stirling's series.
 * @throws RangeError for x that is not a positive finite number.
 */
export function logGamma(x: number): number {
  if (!(x > 0 && x < Infinity)) throw new RangeError(`logGamma needs a positive finite number, not ${x}`)
  let lifted = x
  let product = 1
  for (; lifted < SERIES_FROM; lifted++) product *= lifted
  const inverse = 1 / lifted
  const square = inverse * inverse
  let tail = 0
  for (const coefficient of STIRLING_FROM_LAST) tail = tail * square + coefficient
  return (lifted - 0.5) * Math.log(lifted) - lifted + HALF_LOG_TWO_PI + tail * inverse - Math.log(product)
}
