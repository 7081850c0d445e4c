/** Whom a fetch trusts over TLS, directly and through a proxy: Node reads these variables once, so each case is a process of its own. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createPlain, type IncomingMessage, type Server } from 'node:http'
import { createServer } from 'node:https'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { makeAuthority } from '../../operator/kube/test-certificates.ts'

const PROGRAM = join(import.meta.dirname, '../main.ts')
const content = 'the bytes of a model'

let folder: string
let origin: Server
let proxies: Record<'http' | 'https', Server>
let tunnels: string[]
const sockets = new Set<Socket>()

const portOf = (server: Server) => (server.address() as AddressInfo).port

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'trust-'))
  const authority = await makeAuthority()
  writeFileSync(join(folder, 'ca.pem'), authority.certificate)
  origin = createServer(await authority.issue('models.invalid'), (_, response) => response.end(content))
  const own = await authority.issue('127.0.0.1')
  proxies = { http: createPlain(), https: createServer(own) }
  for (const server of [origin, ...Object.values(proxies)]) {
    server.on('connection', (socket: Socket) => sockets.add(socket))
    server.on('connect', tunnel)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  }
})

beforeEach(() => {
  tunnels = []
})

afterAll(async () => {
  for (const socket of sockets) socket.destroy()
  for (const server of [origin, ...Object.values(proxies)]) await new Promise((resolve) => server.close(resolve))
  rmSync(folder, { recursive: true })
})

function tunnel({ url = '' }: IncomingMessage, socket: Socket): void {
  tunnels.push(url)
  const onward = connect(portOf(origin), '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'))
  sockets.add(onward)
  socket.pipe(onward).pipe(socket)
  socket.on('error', () => onward.destroy())
  onward.on('error', () => socket.destroy())
}

interface Ended {
  readonly code: number | null
  readonly output: string
}

function fetching(uri: string, env: Record<string, string>): Promise<Ended> {
  const out = join(folder, 'out.onnx')
  const child = spawn(process.execPath, [PROGRAM, 'fetch', `--uri=${uri}`, `--out=${out}`], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let output = ''
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) output += readFileSync(out, 'utf8')
      rmSync(out, { force: true })
      resolve({ code, output })
    })
  })
}

const ca = () => join(folder, 'ca.pem')
const viaProxy = (kind: 'http' | 'https') => ({ HTTPS_PROXY: `${kind}://127.0.0.1:${portOf(proxies[kind])}` })

test.each<[string, () => Record<string, string>]>([
  ['NODE_EXTRA_CA_CERTS', () => ({ NODE_EXTRA_CA_CERTS: ca() })],
  ['SSL_CERT_FILE with NODE_USE_SYSTEM_CA', () => ({ SSL_CERT_FILE: ca(), NODE_USE_SYSTEM_CA: '1' })],
])('a CA in %s is trusted through a tunnel', async (_what, trust) => {
  const ended = await fetching('https://models.invalid/m.onnx', { ...viaProxy('http'), ...trust() })
  expect(ended).toMatchObject({ code: 0, output: expect.stringContaining(content) })
  expect(tunnels).toEqual(['models.invalid:443'])
})

test('the proxy itself may speak TLS, with a certificate of that CA', async () => {
  const ended = await fetching('https://models.invalid/m.onnx', { ...viaProxy('https'), NODE_EXTRA_CA_CERTS: ca() })
  expect(ended).toMatchObject({ code: 0, output: expect.stringContaining(content) })
  expect(tunnels).toEqual(['models.invalid:443'])
})

test.each<[string, () => Record<string, string>]>([
  ['by default', () => ({})],
  ['by SSL_CERT_FILE alone', () => ({ SSL_CERT_FILE: ca() })],
])('an own CA is not trusted %s, and the remedy is told', async (_what, trust) => {
  const ended = await fetching('https://models.invalid/m.onnx', { ...viaProxy('http'), ...trust() })
  expect(ended.code).toBe(1)
  expect(ended.output).toMatch(/Forbidden: The certificate of models\.invalid, .*HTTPS_PROXY.* NODE_EXTRA_CA_CERTS/)
})

test('the certificate must be for the host also where it came through a tunnel', async () => {
  const ended = await fetching('https://other.invalid/m.onnx', { ...viaProxy('http'), NODE_EXTRA_CA_CERTS: ca() })
  expect(ended).toMatchObject({ code: 1, output: expect.stringContaining('ERR_TLS_CERT_ALTNAME_INVALID') })
})
