/** Parsers of flags' values; commander names the flag in the error. */
import { InvalidArgumentError } from 'commander'

export function wholeNumber(min: number, max = Number.MAX_SAFE_INTEGER) {
  return (text: string): number => {
    const value = Number(text)
    if (text.trim() !== '' && Number.isSafeInteger(value) && value >= min && value <= max) return value
    throw new InvalidArgumentError(
      `It must be a whole number ${max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`}.`,
    )
  }
}

export function positiveNumber(max: number) {
  return (text: string): number => {
    const value = Number(text)
    if (text.trim() !== '' && value > 0 && value <= max) return value
    throw new InvalidArgumentError(`It must be a number above 0${max === Infinity ? '' : `, at most ${max}`}.`)
  }
}
