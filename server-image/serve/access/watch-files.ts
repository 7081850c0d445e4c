/**
 * Files that may change at any time: Secrets as the kubelet mounts them, which are swapped in whole behind a symbolic link. Looking is
 * what works on every file system; watching does not.
 */
import { statSync, type Stats } from 'node:fs'
import { stat } from 'node:fs/promises'

const LOOK_EVERY_MS = 2_000

/**
 * Read the files after this call: a change in between is then seen as one later.
 * @param onChange told once of each change, to read them again
 * @returns ends the watch
 * @throws Error when one of them is not there
 */
export function watchFiles(paths: readonly string[], onChange: () => void): () => void {
  let seen = paths.map((path) => identityOf(statSync(path))).join()
  const look = async () => {
    const found = await Promise.all(paths.map((path) => stat(path).then(identityOf, (error: Error) => error.message)))
    if (found.join() === seen || isClosed) return
    seen = found.join()
    onChange()
  }
  let isClosed = false
  const timer = setInterval(() => void look(), LOOK_EVERY_MS).unref()
  return () => {
    isClosed = true
    clearInterval(timer)
  }
}

function identityOf({ ino, mtimeMs, size }: Stats): string {
  return `${ino} ${mtimeMs} ${size}`
}
