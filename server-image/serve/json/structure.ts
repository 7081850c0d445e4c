/** What the bytes of JSON show of its structure: before it is parsed, and of what is lost by parsing. */

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

export interface Structure {
  /** Members of all objects, those with the same name as well. */
  readonly members: number
  /** Where brackets inside brackets become more than they may, if they do; nothing was read from there on. */
  readonly tooDeepAt?: number
}

/** Of any bytes; it means something only of those that are JSON. */
export function structureOf(body: Buffer, maxDepth: number): Structure {
  let depth = 0
  let members = 0
  for (let at = 0; at < body.length; at += 1) {
    const byte = body[at] ?? 0
    if (byte === QUOTE) at = endOfString(body, at)
    // All that counts comes behind the digits, which are most of a body.
    else if (byte < COLON) continue
    else if (byte === COLON) members += 1
    else if (byte === OPEN_BRACKET || byte === OPEN_BRACE) depth += 1
    else if (byte === CLOSE_BRACKET || byte === CLOSE_BRACE) depth -= 1
    if (depth > maxDepth) return { members, tooDeepAt: at }
  }
  return { members }
}

/** Of an object or an array that is being read. */
interface Level {
  /** Of an object. */
  readonly names?: Set<string>
  /** The member or the element that is being read; undefined where the name of the next member is to come. */
  place: string | number | undefined
}

/**
 * Path of the first member whose name its object has already, for example `instances[3].age`; undefined when there is none.
 * @param body JSON
 */
export function duplicateMember(body: Buffer): string | undefined {
  const levels: Level[] = []
  for (let at = 0; at < body.length; at += 1) {
    const level = levels.at(-1)
    switch (body[at]) {
      case QUOTE: {
        const open = at
        at = endOfString(body, open)
        if (level?.names === undefined || level.place !== undefined) break
        level.place = JSON.parse(body.toString('utf8', open, at + 1)) as string
        if (level.names.has(level.place)) return pathOf(levels)
        level.names.add(level.place)
        break
      }
      case OPEN_BRACE:
        levels.push({ names: new Set(), place: undefined })
        break
      case OPEN_BRACKET:
        levels.push({ place: 0 })
        break
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        levels.pop()
        break
      case COMMA:
        if (level !== undefined) level.place = typeof level.place === 'number' ? level.place + 1 : undefined
        break
      default:
    }
  }
  return undefined
}

function pathOf(levels: readonly Level[]): string {
  return levels
    .map(({ place = '' }) => (typeof place === 'number' ? `[${place}]` : `.${place}`))
    .join('')
    .replace(/^\./, '')
}

/** Index of the closing quote, or the body's length. */
function endOfString(body: Buffer, open: number): number {
  let at = open + 1
  while (at < body.length && body[at] !== QUOTE) at += body[at] === BACKSLASH ? 2 : 1
  return at
}
