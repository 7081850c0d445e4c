/** A plain HTTPS client for the tests, so that they see what goes over the wire. */
import { Agent, request as httpsRequest } from 'node:https'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { ApiServer } from './apiserver.ts'

export interface Answer {
  readonly code: number
  readonly headers: IncomingHttpHeaders
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look into bodies of every kind
  readonly body: any
}

interface Asking {
  readonly body?: unknown
  readonly type?: string
  readonly accept?: string
  readonly token?: string | null
}

export class TestClient {
  readonly #server: ApiServer
  readonly #agent: Agent

  constructor(server: ApiServer) {
    this.#server = server
    this.#agent = new Agent({ ca: server.caPem, keepAlive: true })
  }

  async ask(method: string, path: string, asking: Asking = {}): Promise<Answer> {
    const response = await this.#send(method, path, asking)
    const text = await readAll(response)
    const json = (response.headers['content-type'] ?? '').startsWith('application/json')
    return {
      code: response.statusCode ?? 0,
      headers: response.headers,
      body: json ? (JSON.parse(text) as unknown) : text,
    }
  }

  get = (path: string) => this.ask('GET', path)
  post = (path: string, body: unknown) => this.ask('POST', path, { body })
  put = (path: string, body: unknown) => this.ask('PUT', path, { body })
  remove = (path: string, body?: unknown) => this.ask('DELETE', path, body === undefined ? {} : { body })
  merge = (path: string, body: unknown) => this.ask('PATCH', path, { body, type: 'application/merge-patch+json' })
  strategic = (path: string, body: unknown) =>
    this.ask('PATCH', path, { body, type: 'application/strategic-merge-patch+json' })

  apply(path: string, manager: string, body: unknown, force = false): Promise<Answer> {
    const query = `fieldManager=${manager}${force ? '&force=true' : ''}`
    return this.ask('PATCH', `${path}?${query}`, { body, type: 'application/apply-patch+yaml' })
  }

  /** Reads a watch until it has so many events, or until it ends. */
  async watch(
    path: string,
    count: number,
    meanwhile?: () => Promise<unknown>,
  ): Promise<{ type: string; object: Answer['body'] }[]> {
    const response = await this.#send('GET', path, {})
    const events: { type: string; object: Answer['body'] }[] = []
    const done = meanwhile?.()
    let rest = ''
    for await (const chunk of response as AsyncIterable<Buffer>) {
      const lines = (rest + chunk.toString()).split('\n')
      rest = lines.pop() ?? ''
      events.push(...lines.filter(Boolean).map((line) => JSON.parse(line) as { type: string; object: Answer['body'] }))
      if (events.length >= count) break
    }
    response.destroy()
    await done
    return events
  }

  close(): void {
    this.#agent.destroy()
  }

  #send(method: string, path: string, asking: Asking): Promise<IncomingMessage> {
    const token = asking.token === undefined ? this.#server.token : asking.token
    const text =
      asking.body === undefined
        ? undefined
        : typeof asking.body === 'string'
          ? asking.body
          : JSON.stringify(asking.body)
    const headers = {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(asking.accept ? { accept: asking.accept } : {}),
      ...(text === undefined
        ? {}
        : { 'content-type': asking.type ?? 'application/json', 'content-length': Buffer.byteLength(text) }),
      'user-agent': 'test/1',
    }
    return new Promise((resolve, reject) => {
      const sent = httpsRequest(new URL(path, this.#server.url), { method, agent: this.#agent, headers }, resolve)
      sent.once('error', reject)
      sent.end(text)
    })
  }
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
