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
  const [first, namespace, plural] = parts
  const scoped = first === 'namespaces' && namespace !== undefined && plural !== undefined
  if (scoped && !(group === '' && (plural === 'status' || plural === 'finalize') && parts.length === 3)) {
    return { group, version, namespace, plural, name: parts[3] ?? '', subresource: parts.slice(4).join('/') }
  }
  const [name = '', ...rest] = parts.slice(1)
  return { group, version, namespace: '', plural: first ?? '', name, subresource: rest.join('/') }
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
