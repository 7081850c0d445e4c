import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { FetchError } from './fetch-error.ts'
import { fetchModel, type FetchOptions, type FetchResult } from './fetch-model.ts'

type Handler = (request: IncomingMessage, response: ServerResponse, attempt: number) => void

const content = randomBytes(300_000)
const sha256 = createHash('sha256').update(content).digest('hex')

let folder: string
let out: string
let server: Server
let requests: IncomingMessage[]
let lines: string[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fetch-'))
  out = join(folder, 'model.onnx')
  requests = []
  lines = []
})

afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  rmSync(folder, { recursive: true })
})

/** Starts a server that behaves as told, and returns its origin. */
async function serve(handler: Handler): Promise<string> {
  server = createServer((request, response) => {
    requests.push(request)
    handler(request, response, requests.length)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function fetching(uri: string, options: Partial<FetchOptions> = {}): Promise<FetchResult> {
  return fetchModel({ uri, out, noProgressMs: 20_000, stallMs: 10_000, log: (line) => lines.push(line), ...options })
}

/** Resolves when more than so many bytes of the download are on disk. */
async function fileGrows(bytes: number): Promise<void> {
  const sizes = () => readdirSync(folder).map((name) => statSync(join(folder, name)).size)
  while (!sizes().some((size) => size > bytes)) await new Promise((resolve) => setTimeout(resolve, 5))
}

/** For sources that never get better: the fetch gives up soon, and the test need not wait. */
const impatient = { noProgressMs: 500, stallMs: 300 }

async function failureOf(uri: string, options: Partial<FetchOptions> = {}): Promise<FetchError> {
  const failure = await fetching(uri, options).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(FetchError)
  expect(readdirSync(folder)).toEqual([])
  expect((failure as Error).message).not.toContain('\n')
  return failure as FetchError
}

const sendAll: Handler = (_, response) => response.setHeader('content-length', content.length).end(content)

/** Answers Range requests as RFC 9110 says. */
function sendRange(request: IncomingMessage, response: ServerResponse, etag: string, body = content): void {
  response.setHeader('etag', etag)
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)
  if (start === 0 || request.headers['if-range'] !== etag) {
    response.setHeader('content-length', body.length).end(body)
    return
  }
  response.statusCode = 206
  response.setHeader('content-range', `bytes ${start}-${body.length - 1}/${body.length}`)
  response.setHeader('content-length', body.length - start).end(body.subarray(start))
}

describe('fetching over HTTP', () => {
  test('brings the file, its digest and its version', async () => {
    const origin = await serve((request, response) => {
      response.setHeader('last-modified', 'Mon, 02 Jan 2023 03:04:05 GMT')
      sendRange(request, response, '"v1"')
    })
    await expect(fetching(`${origin}/model.onnx`, { sha256: sha256.toUpperCase() })).resolves.toEqual({
      uri: `${origin}/model.onnx`,
      path: out,
      sha256,
      sizeBytes: content.length,
      etag: '"v1"',
      lastModified: 'Mon, 02 Jan 2023 03:04:05 GMT',
    })
    expect(readFileSync(out).equals(content)).toBe(true)
    expect(readdirSync(folder)).toEqual(['model.onnx'])
  })

  test('takes a body without a declared length', async () => {
    const origin = await serve((_, response) => {
      response.write(content.subarray(0, 1000))
      response.end(content.subarray(1000))
    })
    await expect(fetching(origin)).resolves.toMatchObject({ sha256 })
  })

  test('does not ask again for a file that is there already', async () => {
    const origin = await serve(sendAll)
    await fetching(origin, { sha256 })
    await expect(fetching(origin, { sha256 })).resolves.toMatchObject({ sha256, sizeBytes: content.length })
    expect(requests).toHaveLength(1)
  })

  test('goes on where a connection broke, when the file is the same', async () => {
    const origin = await serve((request, response, attempt) => {
      if (attempt > 1) return sendRange(request, response, '"v1"')
      response.setHeader('etag', '"v1"').setHeader('content-length', content.length)
      response.write(content.subarray(0, 200_000), () => response.destroy())
    })
    await expect(fetching(origin)).resolves.toMatchObject({ sha256, etag: '"v1"' })
    expect(requests).toHaveLength(2)
    expect(requests[1]?.headers['if-range']).toBe('"v1"')
    expect(Number(requests[1]?.headers.range?.replace(/\D/g, ''))).toBeGreaterThan(0)
  })

  test('waits no longer for the next connection as long as each brings something', async () => {
    const origin = await serve((request, response, attempt) => {
      const start = Number(request.headers.range?.replace(/\D/g, '') ?? 0)
      response.statusCode = start === 0 ? 200 : 206
      response.setHeader('content-range', `bytes ${start}-${content.length - 1}/${content.length}`)
      response.setHeader('etag', '"v1"').setHeader('content-length', content.length - start)
      if (attempt > 5) return void response.end(content.subarray(start))
      response.write(content.subarray(start, start + 50_000))
      // What came before a connection breaks may be lost with it, but not what was written down.
      void fileGrows(start).then(() => response.destroy())
    })
    await expect(fetching(origin)).resolves.toMatchObject({ sha256 })
    expect(lines.map((line) => /trying again in \d+ ms/.exec(line)?.[0])).toEqual(
      new Array(5).fill('trying again in 200 ms'),
    )
  })

  test('starts over when the file is another one by then', async () => {
    const origin = await serve((request, response, attempt) => {
      if (attempt > 1) return sendRange(request, response, '"v2"')
      response.setHeader('etag', '"v1"').setHeader('content-length', content.length)
      response.write(Buffer.alloc(200_000), () => response.destroy())
    })
    await expect(fetching(origin)).resolves.toMatchObject({ sha256, etag: '"v2"' })
  })

  test.each([
    ['no ETag', undefined],
    ['a weak ETag', 'W/"v1"'],
  ])('starts over when the server gave %s', async (_, etag) => {
    const origin = await serve((request, response, attempt) => {
      if (etag !== undefined) response.setHeader('etag', etag)
      response.setHeader('content-length', content.length)
      if (attempt === 1) response.write(content.subarray(0, 200_000), () => response.destroy())
      else response.end(content)
      expect(request.headers.range).toBeUndefined()
    })
    await expect(fetching(origin)).resolves.toMatchObject({ sha256 })
    expect(requests).toHaveLength(2)
  })

  test('does not trust a part that it did not ask for', async () => {
    const origin = await serve((request, response, attempt) => {
      if (attempt === 1) {
        response.setHeader('etag', '"v1"').setHeader('content-length', content.length)
        response.write(content.subarray(0, 200_000), () => response.destroy())
      } else if (attempt === 2) {
        response.writeHead(206, { 'content-range': `bytes 7-${content.length - 1}/${content.length}` })
        response.end(content.subarray(7))
      } else {
        sendRange(request, response, '"v1"')
      }
    })
    await expect(fetching(origin)).resolves.toMatchObject({ sha256 })
    expect(requests).toHaveLength(3)
  })

  test('replaces a connection that stalls', async () => {
    const origin = await serve((request, response, attempt) => {
      if (attempt > 1) return sendRange(request, response, '"v1"')
      response.setHeader('etag', '"v1"').setHeader('content-length', content.length)
      response.write(content.subarray(0, 200_000))
    })
    await expect(fetching(origin, { stallMs: 300 })).resolves.toMatchObject({ sha256 })
    expect(lines.join()).toContain('nothing came any more')
  })

  test('tries again after 503', async () => {
    const origin = await serve((request, response, attempt) => {
      if (attempt > 2) return sendAll(request, response, attempt)
      response.writeHead(503, { 'retry-after': '0' }).end('busy')
    })
    await expect(fetching(origin)).resolves.toMatchObject({ sha256 })
    expect(requests).toHaveLength(3)
  })

  test('follows a redirect, without taking the password to another host', async () => {
    const origin = await serve((request, response, attempt) => {
      if (attempt > 1) return sendAll(request, response, attempt)
      const port = (server.address() as AddressInfo).port
      response.writeHead(302, { location: `http://localhost:${port}/real` }).end()
    })
    await expect(fetching(origin.replace('//', '//user:p%40ss@'))).resolves.toMatchObject({ sha256 })
    expect(requests[0]?.headers.authorization).toBe(`Basic ${Buffer.from('user:p@ss').toString('base64')}`)
    expect(requests[1]?.headers.authorization).toBeUndefined()
  })
})

describe('fetching over HTTP fails with', () => {
  test.each([
    [404, 'NotFound'],
    [410, 'NotFound'],
    [401, 'Forbidden'],
    [403, 'Forbidden'],
    [400, 'InvalidArgument'],
    [204, 'InvalidArgument'],
  ])('status %i: %s, at once', async (status, reason) => {
    const origin = await serve((_, response) => response.writeHead(status).end())
    const failure = await failureOf(`${origin}/m`)
    expect(failure.reason).toBe(reason)
    expect(failure.message).toContain(`status ${status}`)
    expect(requests).toHaveLength(1)
  })

  test('Unreachable when the server answers 500 for ever', async () => {
    const origin = await serve((_, response) => response.writeHead(500).end('no'))
    const failure = await failureOf(origin, impatient)
    expect(failure).toMatchObject({ reason: 'Unreachable', message: expect.stringContaining('answered 500') })
    expect(requests.length).toBeGreaterThan(1)
  })

  test('Unreachable at once when the server wants more patience than there is', async () => {
    const origin = await serve((_, response) => response.writeHead(429, { 'retry-after': '3600' }).end())
    expect((await failureOf(origin)).reason).toBe('Unreachable')
    expect(requests).toHaveLength(1)
  })

  test('Unreachable when the server says nothing', async () => {
    const origin = await serve(() => undefined)
    expect((await failureOf(origin, impatient)).reason).toBe('Unreachable')
  })

  test('Unreachable when nobody listens', async () => {
    await serve(sendAll)
    expect(await failureOf('http://127.0.0.1:1', impatient)).toMatchObject({
      reason: 'Unreachable',
      message: expect.stringContaining('ECONNREFUSED'),
    })
  })

  test('Unreachable when the host has no address', async () => {
    await serve(sendAll)
    expect((await failureOf('http://no-such-host.invalid/m', impatient)).reason).toBe('Unreachable')
  })

  test('Interrupted when the server always sends less than it promises', async () => {
    const origin = await serve((_, response) => {
      response.setHeader('etag', '"v1"').setHeader('content-length', content.length + 1)
      response.write(content, () => response.destroy())
    })
    expect(await failureOf(origin, impatient)).toMatchObject({
      reason: 'Interrupted',
      message: expect.stringContaining('broke off'),
    })
  })

  test('TooLarge by the declared length, before the body', async () => {
    const origin = await serve((_, response) => {
      response.setHeader('content-length', 10_000_000_000)
      response.write('x')
    })
    expect(await failureOf(origin, { maxBytes: 1_000_000 })).toMatchObject({
      reason: 'TooLarge',
      message: expect.stringContaining('10000000000'),
    })
  })

  test('TooLarge when a body does not end', async () => {
    const origin = await serve((_, response) => {
      const more = () => {
        while (!response.destroyed && response.write(content));
        response.once('drain', more)
      }
      more()
    })
    expect((await failureOf(origin, { maxBytes: 1_000_000 })).reason).toBe('TooLarge')
  })

  test('DigestMismatch when it is another file', async () => {
    const origin = await serve(sendAll)
    const failure = await failureOf(origin, { sha256: 'a'.repeat(64) })
    expect(failure).toMatchObject({ reason: 'DigestMismatch', message: expect.stringContaining(sha256) })
  })

  test.each([
    ['by its type', 'text/html; charset=utf-8', 'Please sign in'],
    ['by its text', 'application/octet-stream', '\n<!DOCTYPE html><html>'],
  ])('InvalidModel for an HTML page, known %s', async (_, type, body) => {
    const origin = await serve((__, response) => response.setHeader('content-type', type).end(body))
    expect(await failureOf(origin)).toMatchObject({
      reason: 'InvalidModel',
      message: expect.stringContaining('HTML page'),
    })
  })

  test('InvalidModel for an empty file', async () => {
    const origin = await serve((_, response) => response.end())
    expect(await failureOf(origin)).toMatchObject({ reason: 'InvalidModel', message: expect.stringContaining('empty') })
  })

  test('UnsupportedSource when the file comes compressed all the same', async () => {
    const origin = await serve((_, response) => response.setHeader('content-encoding', 'gzip').end('x'))
    expect((await failureOf(origin)).reason).toBe('UnsupportedSource')
  })

  test.each([
    ['a circle of redirects', '/again', 'InvalidArgument', 'redirects more than 5 times'],
    ['a redirect to a file', 'file:///etc/passwd', 'Forbidden', 'another scheme'],
    ['a redirect to another scheme', 'https://localhost/m', 'Forbidden', 'another scheme'],
    ['a redirect to a metadata address', 'http://169.254.169.254/latest/meta-data', 'Forbidden', 'not allowed'],
    ['a redirect to it in another notation', 'http://0xa9fea9fe/', 'Forbidden', 'not allowed'],
    ['a redirect to it inside IPv6', 'http://[::ffff:169.254.169.254]/', 'Forbidden', 'not allowed'],
    ['a redirect to no URL', 'http://[', 'InvalidArgument', 'no URL'],
  ])('%s', async (_, location, reason, message) => {
    const origin = await serve((__, response) => response.writeHead(302, { location }).end())
    const failure = await failureOf(`${origin}/m`)
    expect(failure).toMatchObject({ reason, message: expect.stringContaining(message) })
    expect(requests.length).toBeLessThanOrEqual(6)
  })

  test('Interrupted when it is told to stop', async () => {
    const stop = new AbortController()
    const origin = await serve((_, response) => {
      response.write(content, () => stop.abort())
    })
    expect((await failureOf(origin, { signal: stop.signal, stallMs: 60_000 })).reason).toBe('Interrupted')
  })

  test('Forbidden for loopback when private addresses are denied', async () => {
    const origin = await serve(sendAll)
    expect((await failureOf(origin, { denyPrivate: true })).reason).toBe('Forbidden')
    expect((await failureOf(origin.replace('127.0.0.1', 'localhost'), { denyPrivate: true })).reason).toBe('Forbidden')
    expect(requests).toHaveLength(0)
  })
})

test('no message and no log line holds a user, a password, a query value or a fragment', async () => {
  const origin = await serve((request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://x')
    if (pathname === '/500') response.writeHead(500).end()
    else if (pathname === '/loop') response.writeHead(302, { location: '/loop?signature=hidden-2' }).end()
    else if (pathname === '/scheme')
      response.writeHead(302, { location: 'https://bob:hidden-3@localhost/?k=hidden-4' }).end()
    else response.writeHead(403).end()
  })
  for (const path of ['500', 'loop', 'scheme', '403']) {
    const uri = `${origin.replace('//', '//alice:hidden-0@')}/${path}?token=hidden-1#hidden-5`
    const { message } = await failureOf(uri, impatient)
    expect([message, ...lines].join()).not.toMatch(/hidden|alice|bob/)
  }
  expect(lines.length).toBeGreaterThan(0)
})
