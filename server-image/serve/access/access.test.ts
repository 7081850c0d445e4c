import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, test } from '@jest/globals'
import { startServer } from '../server.ts'
import { eventually, get, post, rawPost, startTestServer, talkTo, testOptions, type TestServer } from '../testing.ts'
import { Tokens } from './tokens.ts'

const dir = mkdtempSync(join(tmpdir(), 'penstock-tokens-'))
afterAll(() => rmSync(dir, { recursive: true }))

const FIRST = 'a-first-token-of-enough-length'
const SECOND = 'Second.Token~with+every/kind-of_sign=='
let files = 0

/** Swapped in whole, as the kubelet does it. */
function write(text: string, path = join(dir, `tokens-${(files += 1)}`)): string {
  writeFileSync(`${path}.tmp`, text)
  renameSync(`${path}.tmp`, path)
  return path
}

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

function tokens(text: string, said: string[] = []) {
  const path = write(text)
  const subject = new Tokens({
    path,
    onChange: (message) => said.push(message),
    onBadChange: (message) => said.push(message),
  })
  closers.push(() => subject.close())
  return { subject, path, said }
}

describe('tokens', () => {
  test('are accepted as RFC 6750 has them sent, and nothing else is', () => {
    const { subject } = tokens(`# of the shop\n${FIRST}\r\n\n  ${SECOND}  \n`)
    const good = [`Bearer ${FIRST}`, `bearer ${SECOND}`, `BEARER   ${FIRST} `]
    expect(good.map((header) => subject.accept(header))).toEqual(good.map(() => true))
    const bad = [undefined, '', 'Bearer', FIRST, `Basic ${FIRST}`, `Bearer ${FIRST}x`, `Bearer ${FIRST.slice(1)}`]
    const passwords = [FIRST, `:${FIRST}x`, `me:${FIRST}:`].map(
      (text) => `Basic ${Buffer.from(text).toString('base64')}`,
    )
    expect([...bad, ...passwords].map((header) => subject.acceptPassword(header))).not.toContain(true)
    expect([...bad, `Bearer ${FIRST}, Bearer ${SECOND}`].map((header) => subject.accept(header))).not.toContain(true)
  })

  test.each([
    ['', /holds 0 bearer tokens/],
    ['# nothing but words\n', /holds 0 bearer tokens/],
    ['short', /line 1 of .* is no bearer token/],
    [`${FIRST}\nwith a space in it`, /line 2 of .* is no bearer token/],
    [`${FIRST}\n${'x'.repeat(5_000)}`, /line 2 of .* is no bearer token/],
  ])('are never taken from a file like %j, and the words about it hold none', (text, wanted) => {
    expect(() => tokens(text)).toThrow(wanted)
    expect(() => tokens(text)).not.toThrow(/first-token|with a space|xxxx/)
  })

  test('are those of a file that is not there: none, and said so', () => {
    const path = join(dir, 'nothing-here')
    expect(() => new Tokens({ path, onChange: () => undefined, onBadChange: () => undefined })).toThrow(/nothing-here/)
  })

  test('change with their file, but not to nothing', async () => {
    const { subject, path, said } = tokens(FIRST)
    write(SECOND, path)
    await eventually(() => said.length === 1)
    expect([subject.accept(`Bearer ${FIRST}`), subject.accept(`Bearer ${SECOND}`)]).toEqual([false, true])
    write('', path)
    await eventually(() => said.length === 2)
    expect(subject.accept(`Bearer ${SECOND}`)).toBe(true)
    expect(said).toEqual(['1 bearer token is accepted now', expect.stringMatching(/holds 0 .* before still are$/)])
  })
})

describe('a server with tokens', () => {
  const row = Array.from({ length: 20 }, (_, index) => index / 10)
  const withToken = { authorization: `Bearer ${FIRST}` }

  async function guarded(): Promise<TestServer> {
    const server = await startTestServer('mlp20', { tokenFile: write(FIRST) })
    closers.push(() => server.close())
    return server
  }

  test('answers those who have one', async () => {
    const { url } = await guarded()
    expect((await post(`${url}/predict`, { features: row }, withToken)).status).toBe(200)
    expect((await fetch(`${url}/v2/models/m`, { headers: withToken })).status).toBe(200)
  })

  test('answers the platform without one', async () => {
    const { url } = await guarded()
    const paths = [
      '/livez',
      '/readyz',
      '/health',
      '/v2/health/live',
      '/v2/health/ready',
      '/metrics',
      '/penstock/evidence',
    ]
    for (const path of paths) expect([path, (await fetch(url + path)).status]).toEqual([path, 200])
  })

  test.each([
    '/',
    '/docs',
    '/openapi.json',
    '/report',
    '/penstock/drift',
    '/v2',
    '/v2/models/m',
    '/livez/',
    '/nothing',
  ])('refuses to read %s without one', async (path) => {
    const { url } = await guarded()
    const reply = await get(url + path)
    expect([reply.status, reply.headers.get('www-authenticate')]).toEqual([401, 'Bearer'])
  })

  describe('asked by a browser', () => {
    const basic = (password: string) => `Basic ${Buffer.from(`me:${password}`).toString('base64')}`
    const page = { accept: 'text/html,*/*;q=0.8' }

    test('is asked by a form for a token, which it takes as the password', async () => {
      const { url } = await guarded()
      const refused = await fetch(`${url}/docs`, { headers: page })
      expect(refused.headers.get('www-authenticate')).toMatch(/^Basic realm="[^"]+", charset="UTF-8"$/)
      const withPassword = { ...page, authorization: basic(FIRST) }
      expect((await fetch(`${url}/docs`, { headers: withPassword })).status).toBe(200)
      expect((await fetch(`${url}/docs`, { headers: { ...page, authorization: basic(SECOND) } })).status).toBe(401)
    })

    test('does only what its own pages ask with it', async () => {
      const { url } = await guarded()
      const statusFrom = async (origin: string) =>
        (await post(`${url}/predict`, { features: row }, { authorization: basic(FIRST), origin })).status
      expect([await statusFrom(url), await statusFrom('https://evil.example'), await statusFrom('null')]).toEqual([
        200, 401, 401,
      ])
    })
  })

  test.each([
    '/predict',
    '/predict/batch',
    '/v1/models/m:predict',
    '/v1/models/m%3Apredict',
    '/v2/models/m/infer',
    '/feedback',
  ])('refuses to answer %s without one, or with a wrong one, in the words of its protocol', async (path) => {
    const { url } = await guarded()
    const reply = await post(url + path, { features: row }, { authorization: `Bearer ${SECOND}` })
    expect([reply.status, reply.headers.get('www-authenticate')]).toEqual([401, 'Bearer error="invalid_token"'])
    const { error } = (await post(url + path, { features: row })).json as { error: unknown }
    expect(typeof error).toBe(path.startsWith('/v') ? 'string' : 'object')
  })

  test('counts no refused request, reads no body of it, and is not led astray by how a path is written', async () => {
    const server = await guarded()
    const huge = 'POST /predict HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4000000\r\n\r\n'
    const lines = [
      huge,
      rawPost('{}'),
      'GET http://x/docs HTTP/1.1\r\nhost: x\r\n\r\n',
      'GET //livez/../docs HTTP/1.1\r\nhost: x\r\n\r\n',
    ]
    for (const text of lines) {
      const heard = await talkTo(server, text, (socket) => void socket.end())
      expect(heard).toMatch(/^HTTP\/1\.1 401 /)
      expect(heard).not.toContain('100 Continue')
    }
    const evidence = (await get(`${server.url}/penstock/evidence`)).json as { directRequests: number }
    expect(evidence.directRequests).toBe(0)
  })

  test('does not start on a file without tokens', async () => {
    await expect(startServer(testOptions('mlp20', { tokenFile: write('') }))).rejects.toThrow(/holds 0 bearer tokens/)
  })
})
