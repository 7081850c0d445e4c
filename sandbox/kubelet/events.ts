import type { Client } from '../../operator/kube/client.ts'
import type { Log } from '../../operator/kube/log.ts'
import type { Pod } from './objects.ts'
import { timestamp } from './pod/status.ts'
import { CORE_EVENTS } from './resources.ts'

export interface EventText {
  readonly type: 'Normal' | 'Warning'
  readonly reason: string
  readonly message: string
  /** The container it is about. */
  readonly container?: string
}

export interface EventRecorder {
  /** Notes an event of a pod; never waits and never fails. */
  record(pod: Pod, text: EventText): void
  close(): Promise<void>
}

export interface EventRecorderOptions {
  readonly client: Client
  readonly log: Log
  /** `kubelet`, `default-scheduler`. */
  readonly component: string
  readonly host?: string
}

/** client-go's spam filter: so many at once for one object, and one more in every refill. */
const BURST = 25
const REFILL_MS = 300_000
const MOST_REMEMBERED = 1000
const LONGEST_QUEUE = 500
const CLOSING_MS = 500

interface Known {
  readonly name: string
  readonly namespace: string
  readonly count: number
}

interface Budget {
  readonly tokens: number
  readonly atMs: number
}

/** Writes Events one after the other; the same event again raises the count of the first. */
export function createEventRecorder({ client, log, component, host }: EventRecorderOptions): EventRecorder {
  const known = new Map<string, Known>()
  const budgets = new Map<string, Budget>()
  const giveUp = new AbortController()
  let queued = 0
  let tail: Promise<void> = Promise.resolve()
  let serial = 0

  function mayWrite(pod: Pod): boolean {
    const nowMs = Date.now()
    const before = budgets.get(pod.metadata.uid) ?? { tokens: BURST, atMs: nowMs }
    const tokens = Math.min(BURST, before.tokens + (nowMs - before.atMs) / REFILL_MS)
    remember(budgets, pod.metadata.uid, { tokens: tokens < 1 ? tokens : tokens - 1, atMs: nowMs })
    return tokens >= 1
  }

  async function write(pod: Pod, text: EventText): Promise<void> {
    const key = [pod.metadata.uid, text.type, text.reason, text.message, text.container].join('\n')
    const seen = known.get(key)
    const now = timestamp(Date.now())
    const options = { signal: giveUp.signal, timeoutMs: 5000 }
    try {
      if (seen !== undefined) {
        const body = { count: seen.count + 1, lastTimestamp: now }
        await client.patch(CORE_EVENTS, seen, { type: 'merge', body }, options)
        remember(known, key, { ...seen, count: seen.count + 1 })
        return
      }
      const { namespace, name: podName } = pod.metadata
      const name = `${podName}.${Date.now().toString(16)}${(serial++ % 4096).toString(16).padStart(3, '0')}`
      await client.create(CORE_EVENTS, eventOf(pod, text, { name, now, component, host }), options)
      remember(known, key, { name, namespace, count: 1 })
    } catch (error) {
      known.delete(key)
      if (!giveUp.signal.aborted)
        log.debug({ reason: text.reason, error: (error as Error).message }, 'an event was lost')
    }
  }

  return {
    record(pod, text) {
      if (giveUp.signal.aborted || queued >= LONGEST_QUEUE || !mayWrite(pod)) return
      queued += 1
      tail = tail.then(() => write(pod, text)).finally(() => (queued -= 1))
    },
    async close() {
      const timer = setTimeout(() => giveUp.abort(), CLOSING_MS)
      await tail
      clearTimeout(timer)
      giveUp.abort()
    },
  }
}

/** Forgets the oldest entry when there are too many. */
function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key)
  map.set(key, value)
  const [oldest] = map.keys()
  if (map.size > MOST_REMEMBERED && oldest !== undefined) map.delete(oldest)
}

interface Origin {
  readonly name: string
  readonly now: string
  readonly component: string
  readonly host: string | undefined
}

function eventOf(pod: Pod, text: EventText, { name, now, component, host }: Origin) {
  const { namespace, name: podName, uid, resourceVersion } = pod.metadata
  return {
    metadata: { name, namespace },
    involvedObject: {
      apiVersion: 'v1',
      kind: 'Pod',
      namespace,
      name: podName,
      uid,
      resourceVersion,
      ...(text.container !== undefined && { fieldPath: `spec.containers{${text.container}}` }),
    },
    type: text.type,
    reason: text.reason,
    message: text.message.slice(0, 1024),
    source: { component, ...(host !== undefined && { host }) },
    firstTimestamp: now,
    lastTimestamp: now,
    count: 1,
    reportingComponent: component,
    reportingInstance: host ?? '',
  }
}
