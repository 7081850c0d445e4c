/**
 * Paths inside a container, turned into paths of this machine.
 *
 * A process has no mount namespace of its own, so `--model-dir=/models` must name the directory that stands for the mount.
 * Only whole paths at or below a mount path are replaced, wherever they stand in a text: after its start, a `=`, a `:`, a
 * comma, a quote, a bracket, white space or `file://`. Paths of other machines (`s3://bucket/models`) and longer names
 * (`/models-old`) stay as they are.
 */
export interface Mount {
  /** Where the container believes it to be: absolute. */
  readonly mountPath: string
  /** Where it is on this machine: absolute. */
  readonly hostPath: string
}

const BOUNDARY = '=:,;|&<>()[]{}"\'`\\s'
const MAY_PRECEDE = `(?<=^|[${escapeClass(BOUNDARY)}]|(?<![A-Za-z0-9+.-])file://)`
const MAY_FOLLOW = `(?=$|[/${escapeClass(BOUNDARY)}])`

/** A function that rewrites every mounted path in a text; nested mounts: the deepest wins. Mounts on `/` itself are left out. */
export function pathRewriter(mounts: readonly Mount[]): (text: string) => string {
  const hostPaths = new Map<string, string>()
  for (const { mountPath, hostPath } of mounts) {
    const trimmed = trimSlashes(mountPath)
    if (trimmed !== '') hostPaths.set(trimmed, trimSlashes(hostPath))
  }
  if (hostPaths.size === 0) return (text) => text
  const longestFirst = [...hostPaths.keys()].sort((a, b) => b.length - a.length)
  const pattern = new RegExp(`${MAY_PRECEDE}(?:${longestFirst.map(escapePattern).join('|')})${MAY_FOLLOW}`, 'g')
  return (text) => text.replaceAll(pattern, (found) => hostPaths.get(found) ?? found)
}

function trimSlashes(path: string): string {
  let end = path.length
  while (end > 0 && path[end - 1] === '/') end--
  return path.slice(0, end)
}

function escapePattern(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')
}

function escapeClass(characters: string): string {
  return characters.replaceAll(/[\]^[]/g, '\\$&')
}
