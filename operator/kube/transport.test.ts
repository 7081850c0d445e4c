import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { createCredentials } from './credentials.ts'
import { ApiError, TransportError } from './errors.ts'
import {
  answerJson,
  answerStatus,
  configOf,
  startFakeServer,
  type FakeHandler,
  type FakeServer,
} from './fake-server.ts'
import { loadKubeConfig } from './kubeconfig.ts'
import { makeAuthority } from './test-certificates.ts'
import { createTransport, transportOf, type Transport, type TransportOptions } from './transport.ts'

let closers: (() => Promise<void> | void)[] = []
let dir = ''

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'kube-transport-'))
})

afterEach(async () => {
  for (const close of closers.reverse()) await close()
  closers = []
  rmSync(dir, { recursive: true })
})

async function serve(handler: FakeHandler): Promise<FakeServer> {
  const server = await startFakeServer(handler)
  closers.push(() => server.close())
  return server
}

function transportTo(config: Parameters<typeof createTransport>[0], options: TransportOptions = {}): Transport {
  const transport = createTransport(config, options)
  closers.push(() => transport.close())
  return transport
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error('expected a failure')
    },
    (error: unknown) => error,
  )
}

describe('connections', () => {
  test('twenty calls in a row take one connection', async () => {
    const server = await serve((_, response) => answerJson(response, 200, { fine: true }))
    let handshakes = 0
    const metrics = { connected: () => handshakes++, answered() {}, retried() {} }
    const transport = transportTo(server.config, { metrics })
    for (let i = 0; i < 20; i++) expect(await transport.json({ method: 'GET', path: '/x' })).toEqual({ fine: true })
    expect(server.connections).toBe(1)
    expect(handshakes).toBe(1)
  })

  test('never more than the bound, and everything is answered', async () => {
    const server = await serve((_, response) => setImmediate(() => answerJson(response, 200, {})))
    const transport = transportTo(server.config, { maxSockets: 3 })
    await Promise.all(Array.from({ length: 50 }, () => transport.json({ method: 'GET', path: '/x' })))
    expect(server.requests).toHaveLength(50)
    expect(server.connections).toBeLessThanOrEqual(3)
  })

  test('a call does not wait behind streams', async () => {
    const server = await serve((request, response) => {
      if (request.url === '/stream') response.write('{}\n')
      else answerJson(response, 200, {})
    })
    const transport = transportTo(server.config, { maxSockets: 1 })
    const stop = new AbortController()
    const streams = await Promise.all(
      [1, 2].map(() => transport.stream({ method: 'GET', path: '/stream', signal: stop.signal })),
    )
    expect(await transport.json({ method: 'GET', path: '/call' })).toEqual({})
    stop.abort()
    expect(streams.every((each) => each.destroyed)).toBe(true)
  })

  test('a path below the server address is kept', async () => {
    const server = await serve((_, response) => answerJson(response, 200, {}))
    await transportTo(configOf(`${server.url}/k8s/clusters/c-1`)).json({ method: 'GET', path: '/api/v1/pods' })
    expect(server.requests).toEqual(['GET /k8s/clusters/c-1/api/v1/pods'])
  })
})

describe('refusals', () => {
  test('carry the whole Status', async () => {
    const causes = [{ reason: 'FieldValueInvalid', message: 'must be positive', field: 'spec.replicas' }]
    const server = await serve((_, response) =>
      answerJson(response, 422, { kind: 'Status', code: 422, reason: 'Invalid', message: 'no', details: { causes } }),
    )
    const error = await failureOf(transportTo(server.config).json({ method: 'POST', path: '/x', body: {} }))
    expect(error).toBeInstanceOf(ApiError)
    expect(error).toMatchObject({ code: 422, reason: 'Invalid', causes, message: 'POST /x: 422 Invalid: no' })
  })

  test("a proxy's error page is one, too", async () => {
    const server = await serve((_, response) => response.writeHead(502).end('<html>bad gateway</html>'))
    const error = await failureOf(transportTo(server.config).json({ method: 'GET', path: '/x' }))
    expect(error).toMatchObject({
      name: 'ApiError',
      code: 502,
      message: 'GET /x: 502 Unknown: <html>bad gateway</html>',
    })
  })

  test.each([429, 503])('%d with Retry-After is repeated, whatever the method', async (code) => {
    let left = 2
    const server = await serve((_, response) => {
      if (left-- > 0) answerStatus(response, code, 'Busy', { 'retry-after': '0' })
      else answerJson(response, 200, { fine: true })
    })
    const call = { method: 'POST', path: '/x', body: { a: 1 } } as const
    expect(await transportTo(server.config).json(call)).toEqual({ fine: true })
    expect(server.requests).toHaveLength(3)
  })

  test('429 without Retry-After (an eviction against a budget) is not repeated', async () => {
    const server = await serve((_, response) => answerStatus(response, 429, 'TooManyRequests'))
    const error = await failureOf(transportTo(server.config).json({ method: 'GET', path: '/x' }))
    expect(error).toMatchObject({ code: 429 })
    expect(server.requests).toHaveLength(1)
  })

  test('repetition is bounded', async () => {
    const server = await serve((_, response) => answerStatus(response, 429, 'TooManyRequests', { 'retry-after': '0' }))
    const error = await failureOf(transportTo(server.config, { maxRetries: 3 }).json({ method: 'GET', path: '/x' }))
    expect(error).toMatchObject({ code: 429 })
    expect(server.requests).toHaveLength(4)
  })

  test('a long Retry-After is left to the caller', async () => {
    const server = await serve((_, response) => answerStatus(response, 429, 'Busy', { 'retry-after': '3600' }))
    const error = await failureOf(transportTo(server.config).json({ method: 'GET', path: '/x' }))
    expect(error).toMatchObject({ code: 429, retryAfterMs: 3_600_000 })
    expect(server.requests).toHaveLength(1)
  })
})

describe('no usable answer', () => {
  test('a GET on a connection that breaks is repeated', async () => {
    let left = 2
    const server = await serve((request, response) => {
      if (left-- > 0) request.socket.destroy()
      else answerJson(response, 200, { fine: true })
    })
    expect(await transportTo(server.config).json({ method: 'GET', path: '/x' })).toEqual({ fine: true })
  })

  test('a GET whose answer breaks off in the middle is repeated', async () => {
    let left = 1
    const server = await serve((request, response) => {
      if (left-- <= 0) return answerJson(response, 200, { fine: true })
      response.writeHead(200, { 'content-length': '1000' })
      response.write('{"fi', () => request.socket.destroy())
    })
    expect(await transportTo(server.config).json({ method: 'GET', path: '/x' })).toEqual({ fine: true })
  })

  test('a stream whose connection breaks is asked for once more; how to go on is for its caller then', async () => {
    const server = await serve((request) => request.socket.destroy())
    const error = await failureOf(transportTo(server.config).stream({ method: 'GET', path: '/x?watch=true' }))
    expect(error).toMatchObject({ name: 'TransportError', failure: 'connection' })
    expect(server.requests).toHaveLength(2)
  })

  test('a POST may have been acted upon: it is never sent twice', async () => {
    const server = await serve((request) => request.socket.destroy())
    const error = await failureOf(transportTo(server.config).json({ method: 'POST', path: '/x', body: {} }))
    expect(error).toMatchObject({ name: 'TransportError', failure: 'connection' })
    expect(server.requests).toHaveLength(1)
  })

  test('a refused connection says so at once', async () => {
    const server = await startFakeServer(() => {})
    await server.close()
    const error = await failureOf(transportTo(server.config).json({ method: 'GET', path: '/x' }))
    expect(error).toMatchObject({ failure: 'connection', message: expect.stringContaining('ECONNREFUSED') })
  })

  test.each(['before its head', 'within its body'])('an answer that stalls %s ends at the deadline', async (when) => {
    const server = await serve((_, response) => {
      if (when === 'within its body') response.write('{"a":')
    })
    const call = { method: 'GET', path: '/x', timeoutMs: 50 } as const
    const error = await failureOf(transportTo(server.config).json(call))
    expect(error).toMatchObject({ failure: 'deadline', message: 'GET /x: no answer within 50 ms' })
    expect(server.requests).toHaveLength(1)
  })

  test('a call that its caller gives up ends at once', async () => {
    const stop = new AbortController()
    const server = await serve(() => stop.abort())
    const error = await failureOf(transportTo(server.config).json({ method: 'GET', path: '/x', signal: stop.signal }))
    expect(error).toMatchObject({ failure: 'aborted' })
  })

  test('a call that was given up before sends nothing', async () => {
    const server = await serve((_, response) => answerJson(response, 200, {}))
    const error = await failureOf(
      transportTo(server.config).json({ method: 'GET', path: '/x', signal: AbortSignal.abort() }),
    )
    expect(error).toMatchObject({ failure: 'aborted' })
    expect(server.requests).toHaveLength(0)
  })

  test('an answer beyond the size limit is refused, even without its length', async () => {
    const server = await serve((_, response) => {
      response.write(`"${'x'.repeat(600)}`)
      response.end(`${'x'.repeat(600)}"`)
    })
    const error = await failureOf(
      transportTo(server.config, { maxBodyBytes: 1000 }).json({ method: 'GET', path: '/x' }),
    )
    expect(error).toMatchObject({ failure: 'too-large' })
  })

  test('an answer that is not JSON is malformed', async () => {
    const server = await serve((_, response) => response.end('hello'))
    const error = await failureOf(transportTo(server.config).json({ method: 'GET', path: '/x' }))
    expect(error).toMatchObject({ failure: 'malformed' })
  })

  test('after close nothing is sent', async () => {
    const server = await serve((_, response) => answerJson(response, 200, {}))
    const transport = transportTo(server.config)
    transport.close()
    expect(await failureOf(transport.json({ method: 'GET', path: '/x' }))).toBeInstanceOf(TransportError)
    expect(server.requests).toHaveLength(0)
  })
})

describe('identity', () => {
  const bearer = (request: IncomingMessage) => request.headers.authorization

  test('a token file that rotated is read again when the old token is refused', async () => {
    let accepted = 'Bearer one'
    const server = await serve((request, response) =>
      bearer(request) === accepted ? answerJson(response, 200, {}) : answerStatus(response, 401, 'Unauthorized'),
    )
    const tokenFile = join(dir, 'token')
    writeFileSync(tokenFile, 'one\n')
    const path = join(dir, 'config')
    writeFileSync(path, kubeconfig(server.url, { tokenFile: 'token' }))
    const transport = transportTo(loadKubeConfig({ path }))
    await transport.json({ method: 'GET', path: '/x' })
    writeFileSync(tokenFile, 'two\n')
    accepted = 'Bearer two'
    await transport.json({ method: 'POST', path: '/x', body: {} })
    expect(server.requests).toHaveLength(3)
  })

  test('a token that stays refused is an error, not a loop', async () => {
    const server = await serve((_, response) => answerStatus(response, 401, 'Unauthorized'))
    const error = await failureOf(transportTo(configOf(server.url, { token: 't' })).json({ method: 'GET', path: '/x' }))
    expect(error).toMatchObject({ code: 401 })
    expect(server.requests).toHaveLength(2)
  })

  test('basic authentication and impersonation are sent', async () => {
    let headers: unknown
    const server = await serve((request, response) => {
      headers = request.headers
      answerJson(response, 200, {})
    })
    const user = { username: 'ann', password: 'pw', impersonateUser: 'bob' }
    await transportTo(configOf(server.url, user)).json({ method: 'GET', path: '/x' })
    const authorization = `Basic ${Buffer.from('ann:pw').toString('base64')}`
    expect(headers).toMatchObject({ authorization, 'impersonate-user': 'bob' })
  })

  test('TLS: the server is checked, an exec plugin gives the token, and many calls take one handshake', async () => {
    const authority = await makeAuthority()
    let seen: string | undefined
    const server = await startFakeServer(
      (request, response) => {
        seen = bearer(request)
        answerJson(response, 200, {})
      },
      await authority.issue('127.0.0.1'),
    )
    closers.push(() => server.close())
    const credential = {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 'from-exec' },
    }
    const script = `console.log(${JSON.stringify(JSON.stringify(credential))})`
    const exec = {
      apiVersion: credential.apiVersion,
      command: process.execPath,
      args: ['-e', script],
      interactiveMode: 'Never',
    }
    const trusting = configOf(server.url, { exec }, { caData: Buffer.from(authority.certificate).toString('base64') })
    const transport = transportTo(trusting)
    for (let i = 0; i < 5; i++) await transport.json({ method: 'GET', path: '/x' })
    expect(seen).toBe('Bearer from-exec')
    expect(server.connections).toBe(1)
    const error = await failureOf(transportTo(configOf(server.url)).json({ method: 'GET', path: '/x' }))
    expect(error).toMatchObject({ failure: 'connection', message: expect.stringContaining('certificate') })
  })

  test('TLS: client certificates from files', async () => {
    const authority = await makeAuthority()
    let subject: unknown
    const server = await startFakeServer(
      (request, response) => {
        subject = (request.socket as unknown as { getPeerCertificate(): { subject: object } }).getPeerCertificate()
          .subject
        answerJson(response, 200, {})
      },
      {
        ...(await authority.issue('127.0.0.1')),
        ca: authority.certificate,
        requestCert: true,
        rejectUnauthorized: true,
      },
    )
    closers.push(() => server.close())
    const { cert, key } = await authority.issue('ann')
    const [certFile, keyFile, caFile] = ['cert', 'key', 'ca'].map((name) => join(dir, name)) as [string, string, string]
    writeFileSync(certFile, cert)
    writeFileSync(keyFile, key)
    writeFileSync(caFile, authority.certificate)
    await transportTo(configOf(server.url, { certFile, keyFile }, { caFile })).json({ method: 'GET', path: '/x' })
    expect(subject).toMatchObject({ CN: 'ann' })
  })

  test('TLS: a client certificate that rotated is shown on a new connection', async () => {
    const authority = await makeAuthority()
    const seen: string[] = []
    const server = await startFakeServer(
      (request, response) => {
        seen.push((request.socket as TLSSocket).getPeerCertificate().subject.CN as string)
        answerJson(response, 200, {})
      },
      { ...(await authority.issue('127.0.0.1')), ca: authority.certificate, requestCert: true },
    )
    closers.push(() => server.close())
    const [certFile, keyFile] = [join(dir, 'cert'), join(dir, 'key')]
    const show = ({ cert, key }: { cert: string; key: string }) => {
      writeFileSync(certFile, cert)
      writeFileSync(keyFile, key)
    }
    const caData = Buffer.from(authority.certificate).toString('base64')
    const credentials = createCredentials(configOf(server.url, { certFile, keyFile }, { caData }), 0)
    const transport = transportOf(credentials)
    closers.push(() => transport.close())
    const ask = () => transport.json({ method: 'GET', path: '/x' })
    const [one, two] = [await authority.issue('one'), await authority.issue('two')]
    show(one)
    await ask()
    // In the middle of a rotation the key may not be that of the certificate yet.
    show({ cert: two.cert, key: one.key })
    const unfit = { failure: 'connection', message: expect.stringContaining('the certificates cannot be read') }
    expect(await failureOf(ask())).toMatchObject(unfit)
    for (const each of [one, one, two]) {
      show(each)
      await ask()
    }
    expect(seen).toEqual(['one', 'one', 'one', 'two'])
    expect(server.connections).toBe(2)
  })

  test('a proxy-url is used', async () => {
    const authority = await makeAuthority()
    const server = await startFakeServer(
      (_, response) => answerJson(response, 200, { via: 'proxy' }),
      await authority.issue('127.0.0.1'),
    )
    closers.push(() => server.close())
    const tunnels: string[] = []
    const proxy = createServer()
    proxy.on('connect', (request, client) => {
      tunnels.push(request.url ?? '')
      const [host = '', port = ''] = (request.url ?? '').split(':')
      const upstream = connect(Number(port), host, () => {
        client.write('HTTP/1.1 200 Connection established\r\n\r\n')
        client.pipe(upstream).pipe(client)
      })
      for (const socket of [upstream, client]) socket.on('error', () => {})
      client.on('close', () => upstream.destroy())
    })
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
    closers.push(() => new Promise<void>((resolve) => proxy.close(() => resolve())))
    const caData = Buffer.from(authority.certificate).toString('base64')
    const proxyUrl = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
    const transport = transportTo(configOf(server.url, {}, { caData, proxyUrl }))
    for (let i = 0; i < 3; i++) expect(await transport.json({ method: 'GET', path: '/x' })).toEqual({ via: 'proxy' })
    expect(tunnels).toEqual([new URL(server.url).host])
  })
})

describe('kubeconfig', () => {
  test('a context that does not exist is named, with those that do', () => {
    const path = join(dir, 'config')
    writeFileSync(path, kubeconfig('http://127.0.0.1:1', {}))
    expect(() => loadKubeConfig({ path, context: 'prod' })).toThrow('kubeconfig has no context "prod"; it has ["ctx"]')
  })

  test('a missing file is named', () => {
    expect(() => loadKubeConfig({ path: join(dir, 'absent') })).toThrow(/kubeconfig .*absent cannot be read: ENOENT/)
  })

  test('without any configuration it says where it looked', () => {
    expect(() => loadKubeConfig({ env: { HOME: dir } })).toThrow(/no cluster to talk to.*\.kube\/config/)
  })
})

function kubeconfig(server: string, user: object): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server } }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'ctx', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'ctx',
  })
}
