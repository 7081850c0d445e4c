/** Tries again what may pass, for as long as there is patience; a connection that falls silent counts as broken. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { AddressPolicy } from './address-policy.ts'
import type { Environment } from './environment.ts'
import { FetchError } from './fetch-error.ts'
import { asFetchFailure, PassingFailure } from './http-request.ts'
import type { Patience } from './patience.ts'
import type { Proxy, ProxyFor } from './proxy.ts'
import { redactUri } from './redact.ts'

const FIRST_BACKOFF_MS = 200
const MAX_BACKOFF_MS = 4_000

/** How the network may be used. */
export interface Remote {
  readonly policy: AddressPolicy
  readonly proxyFor: ProxyFor
  readonly patience: Patience
  /** A connection that brings nothing for this long is given up for a new one. */
  readonly stallMs: number
  readonly signal: AbortSignal | undefined
  readonly log: (line: string) => void
  /** Where credentials and endpoints are named. */
  readonly env: Environment
}

export interface Attempt {
  /** Aborts when nothing came for too long, or when the fetch is told to stop. */
  readonly signal: AbortSignal
  /** Something came. */
  readonly heard: () => void
}

/** @throws FetchError when trying again is of no use, or patience is at its end */
export async function persist<T>(remote: Remote, url: URL, attempt: (attempt: Attempt) => Promise<T>): Promise<T> {
  const { patience, signal, log } = remote
  let reachedBytes = patience.reachedBytes
  let told: PassingFailure | undefined
  for (let tries = 0; ; tries += 1) {
    try {
      return await watched(remote, url, attempt)
    } catch (error) {
      if (signal?.aborted === true) throw stopped(url)
      if (!(error instanceof PassingFailure)) throw error
      patience.broke()
      // A connection that brought something before it broke is no sign of a server that wants to be left alone.
      if (patience.reachedBytes > reachedBytes) tries = 0
      reachedBytes = patience.reachedBytes
      const waitMs = Math.max(error.retryAfterMs ?? 0, backoffMs(tries))
      // What an earlier try was told says more than that patience ended in the midst of this one.
      told = error instanceof Silence ? (told ?? error) : error
      if (waitMs >= patience.leftMs(performance.now())) throw givenUp(patience, url, told)
      log(`${redactUri(url.href)}: ${error.message}; trying again in ${waitMs} ms`)
      await sleep(waitMs, undefined, signal ? { signal } : {}).catch(() => {
        throw stopped(url)
      })
    }
  }
}

async function watched<T>(remote: Remote, url: URL, attempt: (attempt: Attempt) => Promise<T>): Promise<T> {
  const { patience, stallMs, signal: stop } = remote
  const watchdog = new AbortController()
  const abort = () => watchdog.abort(new Silence(remote.proxyFor(url)))
  const signal = stop ? AbortSignal.any([stop, watchdog.signal]) : watchdog.signal
  let timer = setTimeout(abort, patience.leftMs(performance.now()))
  const heard = () => {
    clearTimeout(timer)
    timer = setTimeout(abort, Math.min(stallMs, patience.leftMs(performance.now())))
  }
  try {
    return await attempt({ signal, heard })
  } catch (error) {
    throw watchdog.signal.aborted ? (watchdog.signal.reason as PassingFailure) : asFetchFailure(error, url)
  } finally {
    clearTimeout(timer)
  }
}

class Silence extends PassingFailure {
  constructor(proxy: Proxy | undefined) {
    super(`nothing came any more${proxy === undefined ? '' : ` through the proxy ${proxy.name}`}`)
  }
}

function backoffMs(tries: number): number {
  return Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** tries)
}

function givenUp({ reachedBytes }: Patience, url: URL, { message }: PassingFailure): FetchError {
  const where = redactUri(url.href)
  return reachedBytes > 0
    ? new FetchError(
        'Interrupted',
        `${where} broke off after ${reachedBytes} bytes and did not go on (${message}). It is tried again; check the server if that persists.`,
      )
    : new FetchError(
        'Unreachable',
        `${where} cannot be reached (${message}). It is tried again; check the host, the network policy and the URL.`,
      )
}

function stopped(url: URL): FetchError {
  return new FetchError(
    'Interrupted',
    `Fetching ${redactUri(url.href)} was stopped before it was complete. Start it again.`,
  )
}
