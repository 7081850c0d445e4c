import type { Socket } from 'node:net'
import { request as httpRequest } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { DURATION_HEADER, REVISION_HEADER } from '../../../protocol/headers.ts'
import { get, post, rawPost, startTestServer, talkTo, type Reply, type TestServer } from '../testing.ts'
import { DEFAULT_LIMITS } from './limits.ts'

const row = Array.from({ length: 20 }, (_, index) => index / 10)
let server: TestServer

beforeAll(async () => {
  server = await startTestServer('mlp20', {
    maxBodyBytes: 64 * 1024,
    limits: { ...DEFAULT_LIMITS, headersTimeoutMs: 300, requestTimeoutMs: 600 },
  })
})

afterAll(() => server.close())

const errorOf = ({ json }: Reply) => (json as { error: { code: string; message: string; field?: string } }).error

const talk = (text: string, then?: (socket: Socket) => void) => talkTo(server, text, then)

describe('what can be asked', () => {
  test('is listed, with every path of it answering', async () => {
    const { json } = await get(server.url)
    const { routes } = json as { routes: { method: string; path: string }[] }
    expect(routes.map(({ path }) => path)).toEqual(
      expect.arrayContaining(['/predict', '/v2/models/m/versions/7/infer', '/readyz']),
    )
    for (const { method, path } of routes) {
      const reply = method === 'GET' ? await fetch(server.url + path) : await post(server.url + path, {})
      expect([path, reply.status]).toEqual([path, method === 'GET' ? 200 : 400])
    }
  })

  test('names the revision and the duration on every inference answer, good or bad', async () => {
    for (const features of [row, [1]]) {
      const { headers } = await post(`${server.url}/predict`, { features })
      expect(headers.get(REVISION_HEADER)).toBe('own')
      expect(Number(headers.get(DURATION_HEADER))).toBeGreaterThan(0)
    }
  })

  test('answers 405 with the methods that there are, and 404 in JSON', async () => {
    const wrong = await get(`${server.url}/predict`)
    expect([wrong.status, wrong.headers.get('allow'), errorOf(wrong).code]).toEqual([405, 'POST', 'method_not_allowed'])
    const page = await post(`${server.url}/health`, {})
    expect([page.status, page.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
    for (const path of [
      '/nope',
      '/v2/models/other/infer',
      '/%ff',
      '/predict/',
      '/PREDICT',
      '/livez/',
      '/..%2f..%2fetc',
    ]) {
      const missing = await post(server.url + path, { features: row })
      const { code } = path.startsWith('/v2/') ? (missing.json as { code: string }) : errorOf(missing)
      expect([path, missing.status, code]).toEqual([path, 404, 'not_found'])
      expect(JSON.stringify(missing.json)).toContain('POST to /predict, /predict/batch, ')
    }
  })

  test.each([
    ['POST', 'http://x/predict', { features: row }],
    ['POST', 'HTTP://user@x:80/predict?a=http://b', { features: row }],
    ['POST', '/%70redict', { features: row }],
    ['POST', '/v1/models/m:predict', { instances: [row] }],
    ['POST', '/v1/models/m%3Apredict', { instances: [row] }],
    ['POST', '/v1/models/m%3apredict', { instances: [row] }],
    ['GET', 'http://x', {}],
    ['GET', 'http://x?a', {}],
    ['GET', 'http://x/v2/models/%6D', {}],
  ])('takes every way to write a target: %s %s', async (method, target, body) => {
    const asked = rawPost(JSON.stringify(body), 'connection: close\r\n').replace('POST /predict', `${method} ${target}`)
    expect(await talk(asked)).toMatch(/^HTTP\/1.1 200 /)
  })

  const chunks = (body: string, headers: string, version = '1.1') =>
    `POST /predict HTTP/${version}\r\n${headers}connection: close\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
  const body = JSON.stringify({ features: row })
  const whole = rawPost(body, 'connection: close\r\n')

  test.each([
    ['two hosts', whole.replace(/host:.*\r\n/i, 'host: a\r\nHost: b\r\n'), 400, 'invalid_http'],
    ['no host', whole.replace(/host:.*\r\n/i, ''), 400, 'invalid_http'],
    [
      'another transfer coding',
      chunks(body, 'host: x\r\ntransfer-encoding: gzip, chunked\r\n'),
      501,
      'not_implemented',
    ],
    ['a coding twice', chunks(body, 'host: x\r\ntransfer-encoding: chunked, chunked\r\n'), 400, 'invalid_http'],
    ['a coding in HTTP/1.0', chunks(body, 'host: x\r\ntransfer-encoding: chunked\r\n', '1.0'), 400, 'invalid_http'],
    ['a tunnel', 'CONNECT a:443 HTTP/1.1\r\nhost: a\r\n\r\n', 405, 'method_not_allowed'],
  ])('is nothing by %s, and the connection ends with the reason', async (_what, text, status, code) => {
    const heard = await talk(text + whole)
    expect(heard.match(/^HTTP\/1\.1 \d+/gm)).toEqual([`HTTP/1.1 ${status}`])
    expect(
      JSON.parse(heard.slice(heard.indexOf('\r\n\r\n')).replace(/^[\r\n]+[\da-f]+\r\n|\r\n0\r\n\r\n$/g, '')),
    ).toMatchObject({ error: { code } })
  })

  test('is taken without a host in HTTP/1.0, and in chunks', async () => {
    expect(await talk(whole.replace(/host:.*\r\n/i, '').replace('HTTP/1.1', 'HTTP/1.0'))).toMatch(/^HTTP\/1.1 200 /)
    expect(await talk(chunks(body, 'host: x\r\nTransfer-Encoding: Chunked\r\n'))).toMatch(/^HTTP\/1.1 200 /)
  })

  test('is told of the whole server', async () => {
    const heard = await talk('OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    expect(heard).toMatch(/^HTTP\/1.1 204 [^]*\r\nallow: GET, HEAD, POST\r\n/i)
    expect(await talk('GET * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')).toContain('There is no *;')
  })

  test('takes a query with an inference path', async () => {
    expect((await post(`${server.url}/predict?trace=1`, { features: row })).status).toBe(200)
  })
})

describe('bad bodies', () => {
  test.each<[string, string, number, string, string | undefined]>([
    ['nothing', '', 400, 'invalid_json', undefined],
    ['no JSON', '{"features": [1,', 400, 'invalid_json', undefined],
    ['NaN', JSON.stringify({ features: row }).replace('0.1', 'NaN'), 400, 'invalid_json', undefined],
    ['deep nesting', '{"features": '.padEnd(2000, '['), 400, 'invalid_json', undefined],
    ['an array', '[1]', 400, 'invalid_request', undefined],
    ['null', 'null', 400, 'invalid_request', undefined],
    ['another member', JSON.stringify({ feature: row }), 400, 'invalid_request', 'features'],
    ['one member too many', JSON.stringify({ features: row, extra: 1 }), 400, 'invalid_request', 'extra'],
    [
      'a poisoned prototype',
      `{"features": [${row.join()}], "__proto__": {"a": 1}}`,
      400,
      'invalid_request',
      '__proto__',
    ],
    ['no array', '{"features": 5}', 422, 'invalid_input', 'features'],
    ['too few values', '{"features": [1]}', 422, 'invalid_input', 'features'],
    [
      'a string for a number',
      JSON.stringify({ features: ['1', ...row.slice(1)] }),
      422,
      'invalid_input',
      'features[0]',
    ],
    [
      'null for a number',
      JSON.stringify({ features: [...row.slice(0, 3), null, ...row.slice(4)] }),
      422,
      'invalid_input',
      'features[3]',
    ],
    ['nesting', JSON.stringify({ features: [...row.slice(0, 19), [1]] }), 422, 'invalid_input', 'features[19]'],
    [
      'infinity by exponent',
      JSON.stringify({ features: row }).replace('0.1', '1e999'),
      422,
      'invalid_input',
      'features[1]',
    ],
    [
      'more than a float',
      JSON.stringify({ features: row }).replace('0.1', '1e300'),
      422,
      'invalid_input',
      'features[1]',
    ],
  ])('%s: an error that names the field', async (_kind, body, ...[status, code, field]) => {
    const reply = await post(`${server.url}/predict`, body)
    expect([reply.status, errorOf(reply).code, errorOf(reply).field]).toEqual([status, code, field])
    expect(errorOf(reply).message).toMatch(/\.$/)
  })

  test.each([
    ['text/plain', 415],
    ['application/x-www-form-urlencoded', 415],
    ['application/jsonp', 415],
    ['application/json; charset=latin1', 415],
    ['application/json; charset=utf-8', 200],
    ['Application/JSON', 200],
    ['application/vnd.x+json', 200],
  ])('as %s: %i', async (type, status) => {
    expect((await post(`${server.url}/predict`, { features: row }, { 'content-type': type })).status).toBe(status)
  })

  test('compressed by what is not known: 415', async () => {
    expect((await post(`${server.url}/predict`, { features: row }, { 'content-encoding': 'br' })).status).toBe(415)
  })

  test('too large, announced or not: 413, and the client hears it', async () => {
    const body = `{"features": [${' '.repeat(1024 * 1024)}]}`
    expect(errorOf(await post(`${server.url}/predict`, body)).code).toBe('too_large')
    const chunks = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
    const head = 'POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n'
    expect(await talk(head + chunks)).toMatch(/^HTTP\/1.1 413 .*"too_large"/s)
  })

  test('too large, with "Expect: 100-continue": refused before a byte of it is sent', async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const asking = httpRequest(`${server.url}/predict`, {
        method: 'POST',
        headers: { expect: '100-continue', 'content-length': '10000000' },
      })
      asking.on('continue', () => reject(new Error('the server wanted the body')))
      asking.on('response', (response) => {
        resolve(response.statusCode)
        response.resume()
        asking.destroy()
      })
      asking.on('error', () => undefined).flushHeaders()
    })
    expect(status).toBe(413)
  })

  test('with another expectation: refused in JSON', async () => {
    const heard = await talk(rawPost(JSON.stringify({ features: row }), 'expect: 200-maybe\r\n'))
    expect(heard).toMatch(/^HTTP\/1.1 417 .*content-type: application\/json.*"expectation_failed".*200-maybe/s)
  })

  test('small, with "Expect: 100-continue": taken', async () => {
    const heard = await talk(
      rawPost(JSON.stringify({ features: row }), 'expect: 100-continue\r\nconnection: close\r\n'),
    )
    expect(heard).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 OK/)
  })
})

describe('bad clients', () => {
  test('that never finish their headers are dropped with 408', async () => {
    expect(await talk('POST /predict HTTP/1.1\r\nhost: x\r\nx-slow: ')).toMatch(/^HTTP\/1.1 408 .*"request_timeout"/s)
  })

  test('that never finish their body are dropped with 408', async () => {
    expect(await talk(rawPost('x'.repeat(100)).slice(0, -50))).toMatch(/^HTTP\/1.1 408 /)
  })

  test('that send no HTTP get 400', async () => {
    expect(await talk('\x16\x03\x01\x02\r\n\r\n')).toMatch(/^HTTP\/1.1 400 .*"invalid_http"/s)
  })

  test('that send both lengths get 400', async () => {
    expect(
      await talk(
        'POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      ),
    ).toMatch(/^HTTP\/1.1 400 /)
  })

  test('that send endless headers get 431', async () => {
    expect(await talk(`GET / HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(100_000)}\r\n\r\n`)).toMatch(
      /^HTTP\/1.1 431 .*"headers_too_large"/s,
    )
  })

  test('that leave in the middle harm nobody', async () => {
    await talk(rawPost('x'.repeat(100)).slice(0, -50), (socket) => setImmediate(() => socket.destroy()))
    await talk(rawPost(JSON.stringify({ features: row })), (socket) => socket.destroy())
    expect((await post(`${server.url}/predict`, { features: row })).status).toBe(200)
  })

  test('that send requests without waiting get the answers in order', async () => {
    const rows = Array.from({ length: 50 }, (_, index) => row.map((value) => value * index))
    const wanted = await Promise.all(rows.map((features) => post(`${server.url}/predict`, { features })))
    const requests = rows.map((features, index) =>
      rawPost(JSON.stringify({ features }), index === rows.length - 1 ? 'connection: close\r\n' : ''),
    )
    const heard = await talk(requests.join(''))
    const probabilities = [...heard.matchAll(/"probability":([\d.e-]+)/g)].map(([, value]) => Number(value))
    expect(probabilities).toEqual(wanted.map(({ json }) => (json as { probability: number }).probability))
  })
})
