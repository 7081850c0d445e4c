import { Agent, request, type RequestOptions } from 'node:http'
import { Agent as TlsAgent, request as tlsRequest } from 'node:https'
import { EVIDENCE_PATH, type Evidence } from '../../protocol/evidence.ts'
import { decodeEvidence } from './decode.ts'

/** A pod that ought to tell its evidence. */
export interface ScrapeTarget {
  readonly uid: string
  readonly scheme: 'http' | 'https'
  readonly ip: string
  readonly port: number
}

export interface Scraper {
  /** Asks every pod at once, within bounds. A pod that fails, is late or talks nonsense is absent from the answer. */
  read(targets: readonly ScrapeTarget[]): Promise<ReadonlyMap<string, Evidence>>
  close(): void
}

export interface ScraperOptions {
  /** For one pod, from connect to the last byte. */
  readonly timeoutMs?: number
  /** Pods asked at the same time, over all reconciles. */
  readonly concurrency?: number
}

const MAX_BODY_BYTES = 256 * 1024

/**
 * Reads the evidence of pods over kept-alive connections. It promises that no pod can hold up a reconcile for longer than the
 * timeout, nor feed it more than 256 KiB; what the numbers mean is left to the core.
 */
export function createScraper(options: ScraperOptions = {}): Scraper {
  const { timeoutMs = 1500, concurrency = 64 } = options
  const settings = {
    keepAlive: true,
    maxSockets: 2,
    maxTotalSockets: concurrency,
    maxFreeSockets: concurrency,
    timeout: 30_000,
  }
  // A pod's certificate bears the names of its Service, and is of whatever authority its owner trusts, which is in a Secret that we do not
  // read. Its address is the API server's word, which is all that plain HTTP has.
  const agents: Agents = { http: new Agent(settings), https: new TlsAgent({ ...settings, rejectUnauthorized: false }) }
  return {
    async read(targets) {
      const answers = await Promise.all(
        targets.map(async (target) => [target.uid, await readOne(agents, target, timeoutMs)] as const),
      )
      return new Map(answers.flatMap(([uid, evidence]) => (evidence === undefined ? [] : [[uid, evidence] as const])))
    },
    close() {
      agents.http.destroy()
      agents.https.destroy()
    },
  }
}

interface Agents {
  readonly http: Agent
  readonly https: TlsAgent
}

async function readOne(agents: Agents, target: ScrapeTarget, timeoutMs: number): Promise<Evidence | undefined> {
  try {
    return decodeEvidence(JSON.parse(await get(agents, target, timeoutMs)))
  } catch {
    return undefined // Not an error: a pod that cannot be read is missing data, and the core treats it so.
  }
}

function get(agents: Agents, { scheme, ip, port }: ScrapeTarget, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeoutMs)
    const ask = scheme === 'https' ? tlsRequest : request
    const options: RequestOptions = {
      agent: agents[scheme],
      host: ip,
      port,
      path: EVIDENCE_PATH,
      signal,
      headers: { accept: 'application/json' },
    }
    const call = ask(options, (response) => {
      const chunks: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > MAX_BODY_BYTES) call.destroy(new Error('the evidence is too large'))
        else chunks.push(chunk)
      })
      response.on('end', () => {
        if (response.statusCode === 200) resolve(Buffer.concat(chunks).toString('utf8'))
        else reject(new Error(`status ${response.statusCode ?? 0}`))
      })
      response.on('error', reject)
    })
    call.on('error', reject)
    call.end()
  })
}
