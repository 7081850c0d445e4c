/** Fetches through a forward proxy that resolves names which nobody else knows, as in networks without a way out. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, request as forward, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { FetchError } from './fetch-error.ts'
import { fetchModel, type FetchResult } from './fetch-model.ts'

const content = Buffer.from('the bytes of a model')
const AUTHORIZATION = `Basic ${Buffer.from('user:p@ss').toString('base64')}`

let folder: string
let origin: Server
let proxy: Server
let answer: (request: IncomingMessage, response: ServerResponse) => void
/** Status of every answer that the proxy gives itself; undefined: it forwards. */
let refusal: number | undefined
let seen: { readonly line: string; readonly authorization: string | undefined }[]
let sockets: Set<Socket>

const portOf = (server: Server) => (server.address() as AddressInfo).port

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'through-proxy-'))
  seen = []
  sockets = new Set()
  refusal = undefined
  answer = (_, response) => response.end(content)
  origin = createServer((request, response) => answer(request, response))
  proxy = createServer(forwardPlain).on('connect', (request: IncomingMessage, socket: Socket) =>
    tunnel(request, socket),
  )
  for (const server of [origin, proxy]) {
    server.on('connection', (socket: Socket) => sockets.add(socket))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  }
})

afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  for (const server of [origin, proxy]) await new Promise((resolve) => server.close(resolve))
  rmSync(folder, { recursive: true })
})

function note({ method, url, headers }: IncomingMessage): void {
  seen.push({ line: `${method} ${url}`, authorization: headers['proxy-authorization'] })
}

/** Every name is the origin's. */
function forwardPlain(request: IncomingMessage, response: ServerResponse): void {
  note(request)
  if (refusal !== undefined) {
    response.writeHead(refusal, { server: 'tinyproxy/1.11.1', 'content-type': 'text/html' }).end('<html>')
    return
  }
  const { pathname, search } = new URL(request.url ?? '')
  const options = { port: portOf(origin), host: '127.0.0.1', path: pathname + search, headers: request.headers }
  request.pipe(
    forward({ ...options, method: request.method }, (found) => {
      response.writeHead(found.statusCode ?? 0, found.headers)
      found.pipe(response)
    }).on('error', () => response.destroy()),
  )
}

function tunnel(request: IncomingMessage, socket: Socket): void {
  note(request)
  if (refusal !== undefined) {
    socket.end(`HTTP/1.1 ${refusal} Because\r\ncontent-length: 0\r\n\r\n`)
    return
  }
  const onward = connect(portOf(origin), '127.0.0.1', () => socket.write('HTTP/1.1 200 Connection established\r\n\r\n'))
  sockets.add(onward)
  socket.pipe(onward).pipe(socket)
  socket.on('error', () => onward.destroy())
  onward.on('error', () => socket.destroy())
}

const proxyUrl = () => `http://user:p%40ss@127.0.0.1:${portOf(proxy)}`
const through = () => ({ HTTP_PROXY: proxyUrl(), HTTPS_PROXY: proxyUrl() })

function fetching(uri: string, env: Record<string, string> = through()): Promise<FetchResult> {
  return fetchModel({ uri, env, out: join(folder, 'out.onnx'), noProgressMs: 2_000, log: (line) => logged.push(line) })
}

let logged: string[] = []

async function failureOf(uri: string, env?: Record<string, string>): Promise<FetchError> {
  logged = []
  const failure = await fetching(uri, env).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(FetchError)
  const { message } = failure as FetchError
  expect(message).not.toMatch(/[\r\n]/)
  expect([message, ...logged].join()).not.toMatch(/p@ss|p%40ss/)
  return failure as FetchError
}

test('plain http goes to the proxy in absolute form, with its credentials', async () => {
  await expect(fetching('http://models.invalid/a/m.onnx?v=1')).resolves.toMatchObject({ sizeBytes: content.length })
  expect(seen).toEqual([{ line: 'GET http://models.invalid/a/m.onnx?v=1', authorization: AUTHORIZATION }])
})

test('the credentials of the proxy do not reach the server', async () => {
  const heard: (string | undefined)[] = []
  answer = ({ headers }, response) => {
    heard.push(headers['proxy-authorization'])
    response.end(content)
  }
  const direct = { ...through(), NO_PROXY: '127.0.0.0/8' }
  await fetching(`http://127.0.0.1:${portOf(origin)}/m.onnx`, direct)
  expect(heard).toEqual([undefined])
  expect(seen).toEqual([])
})

test('what sources ask of their services goes through it as well', async () => {
  answer = (request, response) =>
    request.url?.startsWith('/api/')
      ? response.end(JSON.stringify({ sha: 'c0ffee'.repeat(7).slice(0, 40), siblings: [{ rfilename: 'm.onnx' }] }))
      : response.end(content)
  await fetching('hf://org/repo', { ...through(), HF_ENDPOINT: 'http://hub.invalid' })
  expect(seen.map(({ line }) => line)).toEqual([
    'GET http://hub.invalid/api/models/org/repo/revision/main?blobs=true',
    expect.stringMatching(/^GET http:\/\/hub\.invalid\/org\/repo\/resolve\//),
  ])
})

test('https is asked for a tunnel to the host', async () => {
  // The origin speaks no TLS, so nothing comes of it.
  const { reason, message } = await failureOf('https://models.invalid/m.onnx')
  expect(reason).toBe('Unreachable')
  expect(message).toContain(`through the proxy http://127.0.0.1:${portOf(proxy)} (HTTPS_PROXY)`)
  expect(seen[0]).toEqual({ line: 'CONNECT models.invalid:443', authorization: AUTHORIZATION })
})

describe.each(['http', 'https'])('a proxy that refuses, %s', (scheme) => {
  test.each([
    [407, 'Forbidden', /wants other credentials for models\.invalid .*407.* before the host/],
    [401, 'Forbidden', /wants other credentials for models\.invalid/],
    [403, 'Forbidden', /refuses models\.invalid \(status 403\); have it allow that host/],
    [503, 'Unreachable', /answered 503 for models\.invalid/],
  ])('status %p is %s', async (status, reason, text) => {
    refusal = status
    const failure = await failureOf(`${scheme}://models.invalid/m.onnx`)
    expect(failure).toMatchObject({ reason, message: expect.stringMatching(text) })
    expect(failure.message).toContain(`proxy http://127.0.0.1:${portOf(proxy)} (${scheme.toUpperCase()}_PROXY)`)
  })
})

test('silence is said to come through the proxy', async () => {
  answer = () => undefined
  const { reason, message } = await failureOf('http://models.invalid/m.onnx')
  expect(reason).toBe('Unreachable')
  expect(message).toContain(`nothing came any more through the proxy http://127.0.0.1:${portOf(proxy)} (HTTP_PROXY)`)
})

test("the server's own refusals stay its own", async () => {
  answer = (_, response) => response.writeHead(403, { server: 'nginx' }).end()
  const { message } = await failureOf('http://models.invalid/m.onnx')
  expect(message).toContain('http://models.invalid/m.onnx may not be read (status 403)')
})

test.each(['http', 'https'])('a proxy that is not there is named: %s', async (scheme) => {
  const nobody = 'http://127.0.0.1:1'
  const { reason, message } = await failureOf(`${scheme}://models.invalid/m.onnx`, {
    HTTP_PROXY: nobody,
    HTTPS_PROXY: nobody,
  })
  expect(reason).toBe('Unreachable')
  expect(message).toContain(`the proxy ${nobody} (${scheme.toUpperCase()}_PROXY) cannot be reached`)
})

test('a proxy that is malformed is named before anything is asked', async () => {
  const failure = await failureOf('https://models.invalid/m.onnx', { HTTPS_PROXY: 'http://user:p@ss@' })
  expect(failure).toMatchObject({ reason: 'InvalidArgument', message: expect.stringContaining('HTTPS_PROXY') })
})

describe('what is denied is not asked of a proxy', () => {
  test.each([
    'http://169.254.169.254/latest/meta-data/',
    'https://169.254.169.254/',
    'http://[fd00:ec2::254]/',
    'http://metadata.google.internal/computeMetadata/v1/',
    'https://metadata.google.internal./',
  ])('%s', async (uri) => {
    expect(await failureOf(uri)).toMatchObject({ reason: 'Forbidden', message: expect.stringContaining('not allowed') })
    expect(seen).toEqual([])
  })

  test.each(['http://169.254.169.254/token', 'http://metadata.google.internal/token'])(
    'a redirect to %s',
    async (location) => {
      answer = (_, response) => response.writeHead(302, { location }).end()
      expect(await failureOf('http://models.invalid/m.onnx')).toMatchObject({ reason: 'Forbidden' })
      expect(seen).toHaveLength(1)
    },
  )

  test('private addresses too where they are denied, though the proxy itself may have one', async () => {
    const fetchTo = (uri: string) =>
      fetchModel({ uri, env: through(), out: join(folder, 'out.onnx'), denyPrivate: true, noProgressMs: 1_000 })
    await expect(fetchTo('http://10.1.2.3/m.onnx')).rejects.toMatchObject({ reason: 'Forbidden' })
    await expect(fetchTo('http://models.invalid/m.onnx')).resolves.toMatchObject({ sizeBytes: content.length })
  })
})

test('credentials for a host go to no other, through a proxy either', async () => {
  const asked: (string | undefined)[] = []
  answer = ({ headers, url }, response) => {
    asked.push(headers.authorization)
    if (url === '/m.onnx') response.writeHead(302, { location: 'http://elsewhere.invalid/n.onnx' }).end()
    else response.end(content)
  }
  await fetching('http://me:pw@models.invalid/m.onnx')
  expect(asked).toEqual([`Basic ${Buffer.from('me:pw').toString('base64')}`, undefined])
})
