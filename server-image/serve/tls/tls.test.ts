import { once } from 'node:events'
import { Agent } from 'node:https'
import { connect as connectTcp } from 'node:net'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Code, createClient } from '@connectrpc/connect'
import { createGrpcTransport } from '@connectrpc/connect-node'
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { pino } from 'pino'
import { makeAuthority, type Authority } from '../../../operator/kube/test-certificates.ts'
import type { Evidence } from '../../../protocol/evidence.ts'
import { OPEN_PATHS } from '../access/guard.ts'
import { Health, HealthCheckResponse_ServingStatus as Status } from '../grpc/generated/grpc/health/v1/health_pb.js'
import { GRPCInferenceService } from '../grpc/generated/open_inference_pb.js'
import { failure, question } from '../grpc/testing.ts'
import { startServer } from '../server.ts'
import type { ServerOptions } from '../server-options.ts'
import { eventually, startTestServer, testOptions, type TestServer } from '../testing.ts'
import { askSecurely, forServer, mountSecret, type MountedSecret, type Pair } from './testing.ts'
import { DEFAULT_LIMITS } from '../http/limits.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

let authority: Authority
let strangers: Authority
let ofServer: Pair
let ofClient: Pair
let ofStranger: Pair
beforeAll(async () => {
  ;[authority, strangers] = await Promise.all([makeAuthority(), makeAuthority('strangers-ca')])
  ofServer = await forServer(authority)
  ofClient = await authority.issue('client.shop')
  ofStranger = await strangers.issue('client.shop')
})

function secretOf(pair: Pair, ca?: string): MountedSecret {
  const secret = mountSecret(pair, ca)
  cleanups.push(() => secret.remove())
  return secret
}

async function serverWith(changes: Partial<ServerOptions>): Promise<TestServer & { readonly secureUrl: string }> {
  const server = await startTestServer('mlp20', { grpcPort: 0, ...changes })
  cleanups.push(() => server.close())
  return { ...server, secureUrl: `https://${server.address}` }
}

const row = { features: Array.from({ length: 20 }, (_, index) => index / 10) }
const trusting = () => ({ ca: authority.certificate })
/** A log that remembers what it was told. */
function remembered() {
  const lines: string[] = []
  return { lines, log: pino({ level: 'info' }, { write: (line: string) => void lines.push(line) }) }
}

async function shake(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connectTls({ port, host: '127.0.0.1', ...trusting(), ...options })
  cleanups.push(() => socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}

describe('a server with a certificate', () => {
  test('speaks TLS of 1.2 and more on both ports, in the protocol that each is for, and no plain text', async () => {
    const { files } = secretOf(ofServer)
    const server = await serverWith({ tls: files })
    expect((await askSecurely(`${server.secureUrl}/predict`, trusting(), row)).status).toBe(200)
    const rest = await shake(server.port, { ALPNProtocols: ['h2', 'http/1.1'] })
    const grpc = await shake(server.grpcPort ?? 0, { ALPNProtocols: ['h2'] })
    expect([rest.alpnProtocol, rest.getProtocol(), grpc.alpnProtocol]).toEqual(['http/1.1', 'TLSv1.3', 'h2'])
    expect((await shake(server.port, { maxVersion: 'TLSv1.2' })).getProtocol()).toBe('TLSv1.2')
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const
    await expect(shake(server.port, old)).rejects.toThrow(/protocol|version/i)
    await expect(shake(server.grpcPort ?? 0, { ALPNProtocols: ['http/1.1'] })).rejects.toThrow(/alpn|application/i)
    await expect(fetch(`${server.url}/livez`)).rejects.toThrow()
  })

  test('answers gRPC', async () => {
    const { files } = secretOf(ofServer)
    const server = await serverWith({ tls: files })
    expect((await grpcOf(server, trusting()).modelInfer(question())).outputs).toHaveLength(1)
  })

  test('takes a renewed one for new connections, keeps the old ones, and lets a bad one pass', async () => {
    const { files, swap } = secretOf(ofServer)
    const { lines, log } = remembered()
    const server = await serverWith({ tls: files, log })
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ...trusting() })
    cleanups.push(() => agent.destroy())
    const before = await askSecurely(`${server.secureUrl}/livez`, { agent })
    const renewed = await authority.issue('renewed.shop')
    swap({ cert: renewed.cert, key: ofServer.key })
    await eventually(() => lines.some((line) => /"level":50.*are no certificate and its key.*still is/.test(line)))
    swap(renewed)
    const anyName = { ...trusting(), checkServerIdentity: () => undefined }
    await eventually(async () => (await askSecurely(`${server.secureUrl}/livez`, anyName)).server === 'renewed.shop')
    const after = await askSecurely(`${server.secureUrl}/livez`, { agent })
    expect([before.server, after.server, after.status]).toEqual(['127.0.0.1', '127.0.0.1', 200])
    const grpc = await shake(server.grpcPort ?? 0, { ALPNProtocols: ['h2'], checkServerIdentity: () => undefined })
    expect(grpc.getPeerCertificate().subject.CN).toBe('renewed.shop')
    expect(lines.join('')).not.toContain('PRIVATE KEY')
  })

  test('closes connections whose handshake takes too long, on both ports, and those that never ask', async () => {
    const { files } = secretOf(ofServer)
    const limits = { ...DEFAULT_LIMITS, headersTimeoutMs: 300, requestTimeoutMs: 500 }
    const server = await serverWith({ tls: files, limits })
    for (const port of [server.port, server.grpcPort ?? 0]) {
      const silent = connectTcp(port, '127.0.0.1')
      silent.on('error', () => undefined).resume()
      await once(silent, 'close')
      const shaken = await shake(port, { ALPNProtocols: [port === server.port ? 'http/1.1' : 'h2'] })
      shaken.on('error', () => undefined).resume()
      await once(shaken, 'close')
    }
  })

  test('has no room for more connections than it may, whether they finish their handshake or not', async () => {
    const { files } = secretOf(ofServer)
    const limits = { ...DEFAULT_LIMITS, maxConnections: 2, headersTimeoutMs: 60_000, requestTimeoutMs: 60_000 }
    const server = await serverWith({ tls: files, limits })
    await shake(server.port, {})
    const silent = connectTcp(server.port, '127.0.0.1')
    cleanups.push(() => silent.destroy())
    await once(silent, 'connect')
    await expect(shake(server.port, {})).rejects.toThrow()
  })

  test('leaves without losing a request, and waits no longer than it may for those who never shake hands', async () => {
    const { files } = secretOf(ofServer)
    const server = await serverWith({ tls: files, drain: { graceMs: 100, limitMs: 3_000 } })
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ...trusting() })
    cleanups.push(() => agent.destroy())
    await askSecurely(`${server.secureUrl}/predict`, { agent }, row)
    const silent = connectTcp(server.port, '127.0.0.1').on('error', () => undefined)
    await once(silent, 'connect')
    const drained = server.drain()
    const answer = await askSecurely(`${server.secureUrl}/predict`, { agent }, row)
    expect([answer.status, answer.headers['connection']]).toEqual([200, 'close'])
    expect(await drained).toBe(true)
  })

  test('does not start on files that it cannot use, and says which', async () => {
    const { files, dir } = secretOf(ofServer)
    const other = secretOf(await forServer(authority))
    writeFileSync(join(dir, 'empty'), '')
    const start = (tls: NonNullable<ServerOptions['tls']>) => startServer(testOptions('mlp20', { tls }))
    await expect(start({ ...files, keyFile: other.files.keyFile })).rejects.toThrow(/no certificate and its key/)
    await expect(start({ ...files, certFile: join(dir, 'empty') })).rejects.toThrow(/empty holds no certificate/)
    await expect(start({ ...files, clientCaFile: join(dir, 'empty') })).rejects.toThrow(
      /empty holds no cert.*authority/,
    )
    await expect(start({ ...files, clientCaFile: join(dir, 'nothing') })).rejects.toThrow(
      /nothing is missing; the Secret that is mounted there has no key nothing/,
    )
  })
})

function grpcOf({ grpcPort }: TestServer, nodeOptions: ConnectionOptions) {
  return createClient(GRPCInferenceService, transport(grpcPort, nodeOptions))
}

function transport(port: number | undefined, nodeOptions: ConnectionOptions) {
  return createGrpcTransport({ baseUrl: `https://127.0.0.1:${port}`, nodeOptions })
}

describe('a server that wants client certificates', () => {
  async function guarded(changes: Partial<ServerOptions> = {}) {
    const secret = secretOf(ofServer, authority.certificate)
    const server = await serverWith({ tls: { ...secret.files, clientCaFile: secret.clientCaFile }, ...changes })
    return { ...server, secret }
  }

  test('answers those who have one, by both protocols', async () => {
    const server = await guarded()
    const known = { ...trusting(), ...ofClient }
    expect((await askSecurely(`${server.secureUrl}/predict`, known, row)).status).toBe(200)
    expect((await grpcOf(server, known).modelInfer(question())).outputs).toHaveLength(1)
  })

  test.each([
    ['no certificate', () => ({}), /this connection has none/],
    ['one of strangers', () => ofStranger, /is not accepted: /],
  ])('tells those with %s so, but lets them ask what the platform asks', async (_name, shown, why) => {
    const server = await guarded()
    const options = { ...trusting(), ...shown() }
    for (const path of OPEN_PATHS) {
      expect([path, (await askSecurely(server.secureUrl + path, options)).status]).toEqual([path, 200])
    }
    for (const path of ['/', '/docs', '/report', '/v2', '/livez/', '/nothing']) {
      const reply = await askSecurely(server.secureUrl + path, options)
      expect([path, reply.status, reply.text]).toEqual([path, 401, expect.stringMatching(why)])
    }
    const refused = await askSecurely(`${server.secureUrl}/predict`, options, row)
    expect([refused.status, JSON.parse(refused.text)]).toMatchObject([401, { error: { code: 'unauthorized' } }])
    const { code, rawMessage } = await failure(grpcOf(server, options).modelInfer(question()))
    expect([code, rawMessage]).toEqual([Code.Unauthenticated, expect.stringMatching(why)])
    expect((await failure(grpcOf(server, options).modelReady({ name: 'm' }))).code).toBe(Code.Unauthenticated)
    expect((await grpcOf(server, options).serverReady({})).ready).toBe(true)
    const health = createClient(Health, transport(server.grpcPort, options))
    expect((await health.check({})).status).toBe(Status.SERVING)
    const evidence = await askSecurely(`${server.secureUrl}/penstock/evidence`, options)
    expect((JSON.parse(evidence.text) as Evidence).directRequests).toBe(0)
  })

  test('tells those with one of an authority of the same name so, as after its keys were changed', async () => {
    const server = await guarded()
    const namesake = await (await makeAuthority()).issue('client.shop')
    for (const waitMs of [0, 50]) {
      const socket = await shake(server.port, { ...namesake })
      let heard = ''
      socket.setEncoding('latin1').on('data', (text: string) => (heard += text))
      const closed = new Promise((resolve) => socket.on('error', () => undefined).once('close', resolve))
      await new Promise((resolve) => setTimeout(resolve, waitMs))
      socket.write('GET /docs HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
      await closed
      expect(heard).toMatch(/^HTTP\/1\.1 401 [^]*client certificate of this connection is not accepted/)
    }
  })

  test.each(['TLSv1.2', 'TLSv1.3'] as const)('is not talked round by a resumed session of %s', async (version) => {
    const server = await guarded()
    const limits = { minVersion: version, maxVersion: version }
    const first = await shake(server.port, limits)
    let session = first.getSession()
    first.on('session', (ticket) => (session = ticket)).resume()
    first.end('GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    await once(first, 'close')
    const again = await askSecurely(`${server.secureUrl}/docs`, {
      ...trusting(),
      ...limits,
      ...(session && { session }),
    })
    expect(again.status).toBe(401)
  })

  test('wants a token as well, if there are tokens', async () => {
    const token = 'a-token-that-is-long-enough'
    const { dir, files, clientCaFile } = secretOf(ofServer, authority.certificate)
    writeFileSync(join(dir, 'tokens'), token)
    const server = await serverWith({ tls: { ...files, clientCaFile }, tokenFile: join(dir, 'tokens') })
    const known = { ...trusting(), ...ofClient }
    const headers = { authorization: `Bearer ${token}` }
    const statusOf = async (options: object) => (await askSecurely(`${server.secureUrl}/docs`, options)).status
    expect(await statusOf(known)).toBe(401)
    expect(await statusOf({ ...trusting(), headers })).toBe(401)
    expect(await statusOf({ ...known, headers })).toBe(200)
    expect((await failure(grpcOf(server, known).modelInfer(question()))).code).toBe(Code.Unauthenticated)
    expect((await failure(grpcOf(server, trusting()).modelInfer(question(), { headers }))).code).toBe(
      Code.Unauthenticated,
    )
    expect((await grpcOf(server, known).modelInfer(question(), { headers })).outputs).toHaveLength(1)
  })

  test('follows a change of the authority', async () => {
    const server = await guarded()
    const statusOf = async (pair: Pair) =>
      (await askSecurely(`${server.secureUrl}/docs`, { ...trusting(), ...pair })).status
    expect([await statusOf(ofClient), await statusOf(ofStranger)]).toEqual([200, 401])
    server.secret.swap(ofServer, strangers.certificate)
    await eventually(async () => (await statusOf(ofStranger)) === 200)
    expect(await statusOf(ofClient)).toBe(401)
  })
})

describe('a relay between revisions', () => {
  /** @returns revisions that answered 20 requests, half of which are meant for the peer */
  async function relayedBy(stable: TestServer, ask: (path: string) => Promise<NodeJS.Dict<string | string[]>>) {
    await eventually(async () => (await evidence(stable)).planId > 0)
    const revisions = new Set<unknown>()
    for (let sent = 0; sent < 20; sent += 1) revisions.add((await ask('/predict'))['x-penstock-revision'])
    return [...revisions].sort()
  }

  const evidence = async ({ address, secure }: TestServer & { secure?: boolean }) => {
    if (secure !== true) return (await (await fetch(`http://${address}/penstock/evidence`)).json()) as Evidence
    return JSON.parse((await askSecurely(`https://${address}/penstock/evidence`, trusting())).text) as Evidence
  }

  function planFor(address: string, scheme: 'http' | 'https'): string {
    const { dir } = secretOf(ofServer)
    const peer = { revision: 'next', address, scheme }
    const plan = { id: 1, revision: 'own', peer, weightPermille: 500, shadowPermille: 0, retired: false }
    writeFileSync(join(dir, 'tmp'), JSON.stringify(plan))
    renameSync(join(dir, 'tmp'), join(dir, 'own.json'))
    return dir
  }

  const asker =
    ({ address }: TestServer, options: object = {}) =>
    async (path: string) =>
      (await askSecurely(`https://${address}${path}`, { ...trusting(), ...options }, row)).headers

  async function two(options: { pair?: Pair; clientCa: boolean; ca: string }) {
    const theirs = secretOf(options.pair ?? ofServer, options.ca)
    const ours = secretOf(ofServer, options.ca)
    const tlsOf = ({ files, clientCaFile }: MountedSecret) => ({ ...files, ...(options.clientCa && { clientCaFile }) })
    const candidate = await serverWith({ tls: tlsOf(theirs), revision: 'next' })
    const stable = await serverWith({ tls: tlsOf(ours), trafficDir: planFor(candidate.address, 'https') })
    return { stable: { ...stable, secure: true }, candidate, ours, theirs }
  }

  test.each([true, false])(
    'goes over TLS, each known to the other by its certificate (client CA: %s)',
    async (clientCa) => {
      const { stable } = await two({ clientCa, ca: authority.certificate })
      expect(await relayedBy(stable, asker(stable, ofClient))).toEqual(['next', 'own'])
      const { answers } = await evidence(stable)
      expect([answers['own']?.ok, answers['next']?.ok]).toEqual([10, 10])
    },
  )

  test('goes on when both got new certificates', async () => {
    const { stable, ours, theirs } = await two({ clientCa: true, ca: authority.certificate })
    expect(await relayedBy(stable, asker(stable, ofClient))).toEqual(['next', 'own'])
    const newAuthority = await makeAuthority()
    const renewed = await forServer(newAuthority)
    for (const secret of [ours, theirs]) secret.swap(renewed, newAuthority.certificate)
    const client = { ...(await newAuthority.issue('client.shop')), ca: newAuthority.certificate }
    const ask = asker(stable, client)
    const none: NodeJS.Dict<string | string[]> = {}
    await eventually(async () => (await ask('/predict').catch(() => none))['x-penstock-revision'] === 'next')
  })

  test('does not go to one whose certificate is of strangers, or for another name; users are answered all the same', async () => {
    const impostors: Pair[] = [await forServer(strangers), await authority.issue('10.9.9.9')]
    for (const pair of impostors) {
      const { stable, candidate } = await two({ pair, clientCa: true, ca: authority.certificate })
      expect(await relayedBy(stable, asker(stable, ofClient))).toEqual(['own'])
      const { relayedIn } = JSON.parse(
        (await askSecurely(`https://${candidate.address}/penstock/evidence`, { rejectUnauthorized: false })).text,
      ) as Evidence
      expect(relayedIn).toBe(0)
    }
  })

  test('goes from plain text to TLS and from TLS to plain text', async () => {
    const secret = secretOf(ofServer)
    const secure = await serverWith({ tls: secret.files, revision: 'next' })
    const plain = await serverWith({ trafficDir: planFor(secure.address, 'https') })
    const asked = async (path: string) => {
      const body = JSON.stringify(row)
      const reply = await fetch(plain.url + path, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json' },
      })
      return Object.fromEntries(reply.headers)
    }
    expect(await relayedBy(plain, asked)).toEqual(['next', 'own'])
    const next = await serverWith({ revision: 'next' })
    const stable = await serverWith({ tls: secret.files, trafficDir: planFor(next.address, 'http') })
    expect(await relayedBy({ ...stable, secure: true } as TestServer, asker(stable))).toEqual(['next', 'own'])
  })
})
