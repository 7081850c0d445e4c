/** Headers that belong to one connection and not to the message (RFC 9110, 7.6.1), and those that every hop writes itself. */
const OF_THE_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'date',
  'expect',
  'host',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/**
 * A message's headers as they may be sent on.
 * @param rawHeaders name, value, name, value ...
 * @param connection value of the `connection` header, which may name more headers of the connection
 */
export function withoutConnectionHeaders(rawHeaders: readonly string[], connection?: string): string[] {
  const named =
    connection === undefined
      ? []
      : connection
          .toLowerCase()
          .split(',')
          .map((name) => name.trim())
  const kept: string[] = []
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    const lowerCase = name.toLowerCase()
    if (!OF_THE_CONNECTION.has(lowerCase) && !named.includes(lowerCase)) kept.push(name, rawHeaders[index + 1] ?? '')
  }
  return kept
}
