/** Users who ask again when a connection breaks, as clients of anything that may be killed do. They count what that costs. */
import { setTimeout as delay } from 'node:timers/promises'
import { Agent, request } from 'undici'
import type { Row } from '../../examples/demo/traffic.ts'

export interface PatientTally {
  readonly answered: number
  /** Connections that broke, or could not be made, before the answer came. */
  readonly repeats: number
  /** Requests that no repeat brought an answer in time, and answers that were no prediction: what is never to happen. */
  readonly failures: readonly string[]
}

export interface PatientUsers {
  answered(): number
  stop(): Promise<PatientTally>
}

export interface PatientUsersOptions {
  readonly url: string
  readonly rows: readonly Row[]
  readonly users: number
  /** Of each user, between an answer and the next request. */
  readonly pauseMs: number
}

const REPEATED_WITHIN_MS = 20_000
const REPEATED_EVERY_MS = 200
const ANSWERED_WITHIN_MS = 5_000

export function startPatientUsers({ url, rows, users, pauseMs }: PatientUsersOptions): PatientUsers {
  let [answered, repeats] = [0, 0]
  const failures: string[] = []
  const stopping = new AbortController()
  const ask = async (agent: Agent, body: string): Promise<void> => {
    const deadline = performance.now() + REPEATED_WITHIN_MS
    for (;;) {
      try {
        const answer = await request(url, {
          ...{ dispatcher: agent, method: 'POST', body, headers: { 'content-type': 'application/json' } },
          signal: AbortSignal.timeout(ANSWERED_WITHIN_MS),
        })
        const text = await answer.body.text()
        if (answer.statusCode !== 200) failures.push(`status ${answer.statusCode}: ${text.slice(0, 200)}`)
        answered += 1
        return
      } catch (error) {
        if (performance.now() > deadline) {
          failures.push(String(error))
          return
        }
        repeats += 1
        await delay(REPEATED_EVERY_MS)
      }
    }
  }
  const use = async (user: number) => {
    const agent = new Agent({ connections: 1 })
    for (let sent = 0; !stopping.signal.aborted; sent += 1) {
      const features = rows[(user * 7919 + sent * 31) % rows.length]?.features
      await ask(agent, JSON.stringify({ features }))
      await delay(pauseMs)
    }
    await agent.close()
  }
  const all = Promise.all(Array.from({ length: users }, (_, user) => use(user)))
  return {
    answered: () => answered,
    stop: async () => {
      stopping.abort()
      await all
      return { answered, repeats, failures }
    },
  }
}
