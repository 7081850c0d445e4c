/** The addresses of the resource API: /api/v1/... and /apis/GROUP/VERSION/..., as in k8s.io/apiserver's RequestInfo. */
export interface ResourcePath {
  readonly group: string
  readonly version: string
  readonly namespace: string
  readonly plural: string
  readonly name: string
  readonly subresource: string
}

/** Takes a path apart; undefined for a path that names no resource. */
export function parseResourcePath(path: string): ResourcePath | undefined {
  const parts = path.split('/').filter(Boolean).map(decodeSegment)
  const root = parts.shift()
  const group = root === 'api' ? '' : root === 'apis' ? parts.shift() : undefined
  const version = parts.shift()
  if (group === undefined || version === undefined || parts.length === 0) return undefined
  const namespace = isInNamespace(group, parts) ? (parts.splice(0, 2)[1] ?? '') : ''
  const [plural = '', name = '', ...rest] = parts
  return { group, version, namespace, plural, name, subresource: rest.join('/') }
}

/** `namespaces/x/pods` is in a namespace; `namespaces/x` and `namespaces/x/status` are about the namespace itself. */
function isInNamespace(group: string, [first, , third, ...more]: readonly string[]): boolean {
  if (first !== 'namespaces' || third === undefined) return false
  return !(group === '' && more.length === 0 && (third === 'status' || third === 'finalize'))
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
