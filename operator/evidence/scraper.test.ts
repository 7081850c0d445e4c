import { afterEach, describe, expect, test } from '@jest/globals'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Evidence } from '../../protocol/evidence.ts'
import { makeAuthority } from '../kube/test-certificates.ts'
import { createScraper, type ScrapeTarget } from './scraper.ts'

const evidence: Evidence = {
  instance: 'a1',
  revision: 'm-1a2b3c4d5e',
  version: '3',
  sha256: 'ab',
  ready: true,
  planId: 4,
  breaker: 'closed',
  directRequests: 10,
  relayedIn: 0,
  answers: {
    'm-1a2b3c4d5e': {
      ok: 9,
      error: 1,
      rejected: 0,
      foreign: 0,
      skipped: 0,
      latency: { '17': 9 },
      errorSamples: [{ message: 'x', count: 1 }],
    },
  },
}

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})

async function pod(listener: RequestListener): Promise<ScrapeTarget> {
  return listening(createServer(listener), 'http')
}

async function listening(server: Server, scheme: ScrapeTarget['scheme']): Promise<ScrapeTarget> {
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { uid: `uid-${servers.length}`, scheme, ip: '127.0.0.1', port: (server.address() as AddressInfo).port }
}

const answering = (body: string, status = 200) => pod((_request, response) => response.writeHead(status).end(body))

/** Patient, so that a pod that answers is never too late, whatever else the machine does. */
async function scrape(...targets: ScrapeTarget[]) {
  const scraper = createScraper({ timeoutMs: 4_000 })
  try {
    return await scraper.read(targets)
  } finally {
    scraper.close()
  }
}

test('a pod that answers is read as it is', async () => {
  const target = await answering(JSON.stringify(evidence))
  expect((await scrape(target)).get(target.uid)).toEqual(evidence)
})

test('a pod that speaks TLS is read, whoever vouches for it', async () => {
  const pair = await (await makeAuthority()).issue('fraud.ml.svc')
  const server = createTlsServer(pair, (_request, response) => response.end(JSON.stringify(evidence)))
  const target = await listening(server, 'https')
  expect((await scrape(target)).get(target.uid)).toEqual(evidence)
  const plain = { ...target, scheme: 'http' } as const
  expect(await scrape(plain)).toEqual(new Map())
})

describe('a pod is absent, and the others are read all the same, when it', () => {
  const listeners: [string, RequestListener | string][] = [
    ['is no JSON', 'nonsense'],
    ['is JSON of another kind', '[1,2]'],
    ['counts below zero', JSON.stringify({ ...evidence, planId: -1 })],
    ['counts in fractions', JSON.stringify({ ...evidence, directRequests: 1.5 })],
    ['names a bucket that does not exist', JSON.stringify(evidence).replace('"17"', '"9999"')],
    ['has no instance', JSON.stringify({ ...evidence, instance: '' })],
    [
      'lists a thousand revisions',
      JSON.stringify({
        ...evidence,
        answers: Object.fromEntries(
          Array.from({ length: 1000 }, (_, index) => [`r${index}`, evidence.answers['m-1a2b3c4d5e']]),
        ),
      }),
    ],
    ['sends more than it may', 'x'.repeat(1_000_000)],
    ['never answers', () => undefined],
    ['stops in the middle', (_request, response) => response.writeHead(200, { 'content-length': '100' }).write('{')],
    ['says 503', (_request, response) => response.writeHead(503).end(JSON.stringify(evidence))],
  ]
  test.each(listeners)('%s', async (_name, behaviour) => {
    const bad = await (typeof behaviour === 'string' ? answering(behaviour) : pod(behaviour))
    const good = await answering(JSON.stringify(evidence))
    const read = await scrape(bad, good)
    expect([...read.keys()]).toEqual([good.uid])
  })

  test('is not there at all', async () => {
    expect(await scrape({ uid: 'gone', scheme: 'http', ip: '127.0.0.1', port: 1 })).toEqual(new Map())
  })
})
