import { Agent, request } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest, type AgentOptions } from 'node:https'
import { setTimeout as delay } from 'node:timers/promises'
import { REVISION_HEADER } from '../../protocol/headers.ts'

/** One labelled row of the holdout set. */
export interface Row {
  readonly features: readonly number[]
  readonly label: number | string
}

/** What users got, since the last time the counters were taken. */
export interface Tally {
  readonly sent: number
  /** No answer, or any status but 200. */
  readonly failed: number
  readonly byRevision: ReadonlyMap<string, RevisionTally>
  readonly failures: readonly string[]
}

export interface RevisionTally {
  readonly answered: number
  /** Answers that agreed with the row's label. */
  readonly correct: number
}

export interface Traffic {
  /** Everything since the start. */
  total(): Tally
  /** Counters since the previous call, for measuring one step. */
  window(): Tally
  /** Stops sending, waits for what is under way, and tells the total. */
  stop(): Promise<Tally>
}

export interface TrafficOptions {
  readonly host: string
  readonly port: number
  readonly rows: readonly Row[]
  readonly clients: number
  readonly requestsPerSecond: number
  /** What users believe, and show; without it they speak plain HTTP. */
  readonly tls?: Pick<AgentOptions, 'ca' | 'servername' | 'cert' | 'key'>
}

/** A client opens a new connection after this many requests, as real ones come and go. */
const REQUESTS_PER_CONNECTION = 150
const MAX_FAILURES_KEPT = 10

/** Users: each sends row after row to the Service, one at a time, at a steady pace, and checks what comes back. */
export function startTraffic(options: TrafficOptions): Traffic {
  const total = new Counter()
  let window = new Counter()
  const stopping = new AbortController()
  const count = (outcome: Outcome) => {
    total.add(outcome)
    window.add(outcome)
  }
  const users = Array.from({ length: options.clients }, (_, user) => runUser(user, options, stopping.signal, count))
  return {
    total: () => total.tally(),
    window: () => {
      const taken = window.tally()
      window = new Counter()
      return taken
    },
    stop: async () => {
      stopping.abort()
      await Promise.all(users)
      return total.tally()
    },
  }
}

interface Outcome {
  readonly revision?: string
  readonly correct?: boolean
  readonly failure?: string
}

class Counter {
  #sent = 0
  #failed = 0
  readonly #byRevision = new Map<string, RevisionTally>()
  readonly #failures: string[] = []

  add({ revision = 'unknown', correct = false, failure }: Outcome): void {
    this.#sent += 1
    if (failure !== undefined) {
      this.#failed += 1
      if (this.#failures.length < MAX_FAILURES_KEPT) this.#failures.push(failure)
      return
    }
    const before = this.#byRevision.get(revision) ?? { answered: 0, correct: 0 }
    this.#byRevision.set(revision, { answered: before.answered + 1, correct: before.correct + (correct ? 1 : 0) })
  }

  tally(): Tally {
    return {
      sent: this.#sent,
      failed: this.#failed,
      byRevision: new Map(this.#byRevision),
      failures: [...this.#failures],
    }
  }
}

async function runUser(
  user: number,
  options: TrafficOptions,
  signal: AbortSignal,
  count: (outcome: Outcome) => void,
): Promise<void> {
  const intervalMs = (1000 * options.clients) / options.requestsPerSecond
  const newAgent = () => {
    const settings = { keepAlive: true, maxSockets: 1 }
    return options.tls === undefined ? new Agent(settings) : new TlsAgent({ ...settings, ...options.tls })
  }
  let agent = newAgent()
  let dueAt = performance.now() + (intervalMs * user) / options.clients
  for (let sent = 0; !signal.aborted; sent += 1) {
    if (sent % REQUESTS_PER_CONNECTION === REQUESTS_PER_CONNECTION - 1) {
      agent.destroy()
      agent = newAgent()
    }
    const row = options.rows[(user * 7919 + sent * 31) % options.rows.length]
    if (row !== undefined) count(await ask(agent, options, row))
    dueAt = Math.max(dueAt + intervalMs, performance.now() - 1000)
    const wait = dueAt - performance.now()
    if (wait > 0) await delay(wait)
  }
  agent.destroy()
}

function ask(agent: Agent, { host, port, tls }: TrafficOptions, row: Row): Promise<Outcome> {
  const body = JSON.stringify({ features: row.features })
  return new Promise((resolve) => {
    const call = (tls === undefined ? request : tlsRequest)(
      {
        agent,
        host,
        port,
        method: 'POST',
        path: '/predict',
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
        timeout: 10_000,
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', (error) => resolve({ failure: error.message }))
        response.on('end', () =>
          resolve(
            outcomeOf(
              response.statusCode ?? 0,
              String(response.headers[REVISION_HEADER]),
              Buffer.concat(chunks).toString(),
              row,
            ),
          ),
        )
      },
    )
    call.on('timeout', () => call.destroy(new Error('no answer within 10 s')))
    call.on('error', (error) => resolve({ failure: error.message }))
    call.end(body)
  })
}

function outcomeOf(status: number, revision: string, text: string, row: Row): Outcome {
  if (status !== 200) return { failure: `status ${status}: ${text.slice(0, 200)}` }
  const { prediction } = JSON.parse(text) as { prediction: number | string }
  return { revision, correct: String(prediction) === String(row.label) }
}
