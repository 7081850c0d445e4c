/** A traffic plan and the peers that it sends requests to, for tests. */
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo, Server as TcpServer } from 'node:net'
import type { Answers } from '../../../protocol/evidence.ts'
import { DURATION_HEADER, REVISION_HEADER } from '../../../protocol/headers.ts'
import type { PlanFile } from '../../../protocol/plan.ts'
import type { Answer } from '../answer.ts'
import type { InferenceRequest } from '../inference.ts'
import { Traffic } from './traffic.ts'

const closers: (() => void)[] = []

/** Ends what the tests have begun. */
export function closeAll(): void {
  for (const close of closers.splice(0)) close()
}

export async function listening(server: Server | TcpServer): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => {
    server.close()
    if ('closeAllConnections' in server) server.closeAllConnections()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A peer that answers `next`, unless it is told what to do. */
export function peer(behaviour?: RequestListener): Promise<string> {
  return listening(
    createServer((request, response) => {
      request.resume()
      if (behaviour === undefined) goodAnswer(response)
      else behaviour(request, response)
    }),
  )
}

export function goodAnswer(response: Parameters<RequestListener>[1], revision = 'next'): void {
  response
    .writeHead(200, { [REVISION_HEADER]: revision, [DURATION_HEADER]: '2000', 'x-of-the-peer': 'yes' })
    .end('from the peer')
}

export const own: Answer = { status: 200, headers: [], body: 'from us', durationMs: 1 }

export function traffic({ relayTimeoutMs = 2_000, revision = 'own' } = {}): Traffic {
  const subject = new Traffic({ revision, phase: 0, relayTimeoutMs, onRelay: () => undefined })
  closers.push(() => subject.close())
  return subject
}

export function plan(address: string, changes: Partial<PlanFile> = {}): PlanFile {
  return {
    id: 1,
    revision: 'own',
    peer: { revision: 'next', address },
    weightPermille: 1000,
    shadowPermille: 0,
    retired: false,
    ...changes,
  }
}

export function request(headers: Record<string, string> = {}): InferenceRequest {
  return {
    url: '/predict?a=1',
    headers,
    rawHeaders: Object.entries(headers).flat(),
    body: Buffer.from('{}'),
    receivedAt: performance.now(),
  }
}

export const ask = (subject: Traffic, headers?: Record<string, string>, answer = own) =>
  subject.answer(request(headers), async () => answer)

export const countsOf = (answers: Answers | undefined) => {
  const { ok = 0, error = 0, rejected = 0, foreign = 0, skipped = 0 } = answers ?? {}
  return { ok, error, rejected, foreign, skipped }
}
export const none = { ok: 0, error: 0, rejected: 0, foreign: 0, skipped: 0 }
