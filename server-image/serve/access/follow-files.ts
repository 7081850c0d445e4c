/**
 * Files that may change at any time: Secrets as the kubelet mounts them, which are swapped in whole behind a symbolic link. Looking is
 * what works on every file system; watching does not.
 */
import { statSync, type Stats } from 'node:fs'
import { stat } from 'node:fs/promises'

const LOOK_EVERY_MS = 2_000

export interface FollowedFiles<Content> {
  readonly paths: readonly string[]
  /** @throws Error when what they hold cannot be used */
  readonly read: () => Content
  /** Told of what they hold after each change. */
  readonly onChange: (content: Content) => void
  /** Told why a change cannot be taken. */
  readonly onBadChange: (message: string) => void
}

export interface Following<Content> {
  /** What they hold now. */
  readonly content: Content
  readonly stop: () => void
}

/** @throws Error when what they hold now cannot be used, or one of them is not there: in the words of `read`, which knows what it is for */
export function followFiles<Content>({
  paths,
  read,
  onChange,
  onBadChange,
}: FollowedFiles<Content>): Following<Content> {
  // In this order, so that a change in between is seen as one later.
  let seen = paths.map(identityNow).join()
  const content = read()
  let isStopped = false
  const look = async () => {
    const found = await Promise.all(paths.map((path) => stat(path).then(identityOf, (error: Error) => error.message)))
    if (found.join() === seen || isStopped) return
    seen = found.join()
    let changed: Content
    try {
      changed = read()
    } catch (error) {
      onBadChange((error as Error).message)
      return
    }
    onChange(changed)
  }
  const timer = setInterval(() => void look(), LOOK_EVERY_MS).unref()
  const stop = () => {
    isStopped = true
    clearInterval(timer)
  }
  return { content, stop }
}

function identityNow(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false })
  return found === undefined ? 'missing' : identityOf(found)
}

function identityOf({ ino, mtimeMs, size }: Stats): string {
  return `${ino} ${mtimeMs} ${size}`
}
