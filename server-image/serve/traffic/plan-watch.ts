/**
 * Follows the plan file of this revision in a mounted ConfigMap.
 *
 * The kubelet swaps the whole content by renaming the symlink `..data`, which a watch on the directory sees at once; a look every
 * second is the safety net for file systems where watches are silent, and for a directory that comes later.
 */
import { watch, type FSWatcher } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { planKey, type PlanFile } from '../../../protocol/plan.ts'
import { parsePlan } from './plan-file.ts'

const LOOK_EVERY_MS = 1_000

export interface PlanWatchOptions {
  readonly dir: string
  readonly revision: string
  readonly onPlan: (plan: PlanFile) => void
  /** There is no plan for this revision, or none any more. */
  readonly onGone: () => void
  /** A file that cannot be followed: told once for each content; the plan in force stays. */
  readonly onBadPlan: (message: string) => void
}

export interface PlanWatch {
  close(): void
}

type Look = { readonly text: string } | { readonly absent: true } | { readonly unreadable: string }

export function watchPlan(options: PlanWatchOptions): PlanWatch {
  const file = join(options.dir, planKey(options.revision))
  let seen = ''
  let watcher: FSWatcher | undefined
  let looking = false
  let lookAgain = false
  let closed = false

  /** One look at a time; a change during a look causes another one. */
  async function look(): Promise<void> {
    lookAgain = looking
    if (looking) return
    looking = true
    do {
      lookAgain = false
      const found = await lookAt(file)
      const asText = JSON.stringify(found)
      if (!closed && asText !== seen) take(found)
      seen = asText
    } while (lookAgain && !closed)
    looking = false
  }

  function take(found: Look): void {
    if ('absent' in found) return options.onGone()
    try {
      if ('unreadable' in found) throw new Error(found.unreadable)
      options.onPlan(parsePlan(found.text, options.revision))
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      options.onBadPlan(`Traffic plan ${file} is not followed: ${why}. The plan in force stays.`)
    }
  }

  function watchDirectory(): void {
    if (watcher !== undefined) return
    try {
      watcher = watch(options.dir, { persistent: false }, () => void look())
      watcher.on('error', unwatch)
    } catch {
      // The directory is not there yet, or cannot be watched: the next look tries again.
    }
  }

  function unwatch(): void {
    watcher?.close()
    watcher = undefined
  }

  watchDirectory()
  void look()
  const timer = setInterval(() => {
    watchDirectory()
    void look()
  }, LOOK_EVERY_MS)
  timer.unref()
  return {
    close() {
      closed = true
      clearInterval(timer)
      unwatch()
    },
  }
}

async function lookAt(file: string): Promise<Look> {
  try {
    return { text: await readFile(file, 'utf8') }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return code === 'ENOENT' || code === 'ENOTDIR' ? { absent: true } : { unreadable: message }
  }
}
