import { canonicalPath } from '../v2/paths.ts'

const ABSOLUTE_FORM = /^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i

/** The target of OPTIONS that means no path (RFC 9112, 3.2.4). */
export const WHOLE_SERVER = '*'

/**
 * A request's target in origin form, with its path as the routes write it. Clients may send the absolute form as if to a proxy
 * (RFC 9112, 3.2.2), and escapes that mean the same (RFC 3986, 6.2.2).
 */
export function canonicalTarget(target: string): string {
  if (target === WHOLE_SERVER) return target
  const authority = ABSOLUTE_FORM.exec(target)?.[0] ?? ''
  const origin = target.slice(authority.length)
  const query = origin.indexOf('?')
  const path = query === -1 ? origin : origin.slice(0, query)
  return canonicalPath(path === '' ? '/' : path) + origin.slice(path.length)
}
