import { styleText } from 'node:util'

/** What the demo promises, and whether it was seen. */
export interface Claims {
  /** Prints the claim with what was seen, and remembers whether it held. */
  check(holds: boolean, claim: string): void
  readonly broken: number
  readonly checked: number
}

export function createClaims(): Claims {
  let broken = 0
  let checked = 0
  return {
    check(holds, claim) {
      checked += 1
      if (!holds) broken += 1
      console.log(`  ${holds ? styleText('green', '✔') : styleText('red', '✘')} ${claim}`)
    },
    get broken() {
      return broken
    },
    get checked() {
      return checked
    },
  }
}

export function heading(text: string): void {
  console.log(`\n${styleText('bold', text)}`)
}

export function note(text: string): void {
  console.log(styleText('dim', `  ${text}`))
}

/** Rows under a header, padded to columns; numbers to the right. */
export function printTable(header: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const table = [header, ...rows.map((row) => row.map(String))]
  const widths = header.map((_, column) => Math.max(...table.map((row) => (row[column] ?? '').length)))
  const isNumber = (text: string) => /^[\d., %+-]+$/.test(text)
  for (const [index, row] of table.entries()) {
    const cells = row.map((cell, column) =>
      isNumber(cell) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
    )
    const line = cells.join('  ').trimEnd()
    console.log(`  ${index === 0 ? styleText('dim', line) : line}`)
  }
}
