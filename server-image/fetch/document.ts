/** Reads the small documents (JSON, XML, YAML) by which sources tell where a file is, with the same care as the file itself. */
import { readFile, stat } from 'node:fs/promises'
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import type { Authorize } from './authorize.ts'
import { FetchError } from './fetch-error.ts'
import { request } from './http-request.ts'
import type { Explain, Location } from './location.ts'
import { persist, type Remote } from './persist.ts'
import { redactUri } from './redact.ts'
import { isPassing, refusalOf } from './refusal.ts'

const MAX_DOCUMENT_BYTES = 8 * 1024 * 1024

export interface DocumentRequest {
  readonly url: URL
  readonly method?: 'GET' | 'POST'
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string
  readonly authorize?: Authorize | undefined
  readonly explain?: Explain | undefined
  /** An answer with one of these statuses is handed back as well. */
  readonly alsoTake?: readonly number[]
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly bytes: Buffer
}

/** @throws FetchError */
export async function readDocument(remote: Remote, asked: DocumentRequest): Promise<Answer> {
  const answer = await persist(remote, asked.url, async ({ signal, heard }) => {
    const headers = { accept: '*/*', 'accept-encoding': 'identity', 'user-agent': 'penstock', ...asked.headers }
    const response = await request({ ...asked, headers, policy: remote.policy, proxyFor: remote.proxyFor, signal })
    heard()
    try {
      const status = response.statusCode ?? 0
      const isTaken = status === 200 || (!isPassing(status) && asked.alsoTake?.includes(status) === true)
      if (!isTaken) throw await refusalOf(response, asked.url, asked.explain)
      return { status, headers: response.headers, bytes: await wholeBody(response, asked.url, heard) }
    } finally {
      response.destroy()
    }
  })
  remote.patience.progressed(performance.now())
  return answer
}

/** @throws FetchError, also when the answer is no JSON */
export async function readJson(remote: Remote, asked: DocumentRequest): Promise<unknown> {
  return asJson((await readDocument(remote, asked)).bytes, asked.url)
}

export function asJson(bytes: Buffer, url: URL): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    throw new FetchError(
      'InvalidArgument',
      `${redactUri(url.href)} did not answer with JSON: probably it is another service. Check the address.`,
    )
  }
}

/** A small text file, wherever a source has it. */
export async function readTextAt(remote: Remote, location: Location): Promise<string> {
  if (location.kind === 'http') return (await readDocument(remote, location)).bytes.toString('utf8')
  try {
    if ((await stat(location.path)).size > MAX_DOCUMENT_BYTES) throw new Error('it is too large')
    return await readFile(location.path, 'utf8')
  } catch (error) {
    throw new FetchError(
      'NotFound',
      `"${location.path}" cannot be read (${(error as NodeJS.ErrnoException).code ?? (error as Error).message}); check the path.`,
    )
  }
}

async function wholeBody(response: IncomingMessage, url: URL, heard: () => void): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    heard()
    size += chunk.length
    if (size > MAX_DOCUMENT_BYTES) {
      throw new FetchError(
        'InvalidArgument',
        `${redactUri(url.href)} answered with more than ${MAX_DOCUMENT_BYTES} bytes where a short document was expected; check the address.`,
      )
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
