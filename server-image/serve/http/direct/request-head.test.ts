import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { readHead } from './request-head.ts'

const LINE = 'POST /predict HTTP/1.1\r\n'
const HOST = 'host: x\r\n'
const LENGTH = 'content-length: 12\r\n'

describe('a plain head', () => {
  test('is read as it was sent, names in lower case', () => {
    expect(readHead(`${LINE}Host: x:80\r\nX-A:b  c\r\n${LENGTH}Empty:\r\n`)).toEqual({
      target: '/predict',
      headers: { host: 'x:80', 'x-a': 'b  c', 'content-length': '12', empty: '' },
      rawHeaders: ['Host', 'x:80', 'X-A', 'b  c', 'content-length', '12', 'Empty', ''],
      bodyBytes: 12,
    })
  })

  test.each([
    ['another method', `GET /predict HTTP/1.1\r\n${HOST}${LENGTH}`],
    ['another version', `POST /predict HTTP/1.0\r\n${HOST}${LENGTH}`],
    ['no target', `POST  HTTP/1.1\r\n${HOST}${LENGTH}`],
    ['two spaces', `POST  /predict HTTP/1.1\r\n${HOST}${LENGTH}`],
    ['no host', LINE + LENGTH],
    ['an empty host', `${LINE}host:\r\n${LENGTH}`],
    ['no length', LINE + HOST],
    ['two lengths', LINE + HOST + LENGTH + LENGTH],
    ['a signed length', `${LINE}${HOST}content-length: +12\r\n`],
    ['a list of lengths', `${LINE}${HOST}content-length: 12, 12\r\n`],
    ['a hexadecimal length', `${LINE}${HOST}content-length: 0x12\r\n`],
    ['a transfer encoding', `${LINE}${HOST}${LENGTH}Transfer-Encoding: chunked\r\n`],
    ['an empty transfer encoding', `${LINE}${HOST}${LENGTH}transfer-encoding:\r\n`],
    ['an expectation', `${LINE}${HOST}${LENGTH}expect: 100-continue\r\n`],
    ['a coded body', `${LINE}${HOST}${LENGTH}Content-Encoding: gzip\r\n`],
    ['an upgrade', `${LINE}${HOST}${LENGTH}upgrade: h2c\r\n`],
    ['a connection to be closed', `${LINE}${HOST}${LENGTH}connection: close\r\n`],
    ['a header of the connection', `${LINE}${HOST}${LENGTH}connection: keep-alive, x-a\r\n`],
    ['a header that comes twice', `${LINE}${HOST}${LENGTH}x-a: 1\r\nX-A: 2\r\n`],
    ['a name that all objects have', `${LINE}${HOST}${LENGTH}constructor: x\r\n`],
    ['a bare line feed', `${LINE}${HOST}x-a: 1\n${LENGTH}`],
    ['a bare carriage return', `${LINE}${HOST}x-a: 1\r${LENGTH}`],
    ['a folded line', `${LINE}${HOST}x-a: 1\r\n more\r\n${LENGTH}`],
    ['space before the colon', `${LINE}${HOST}content-length : 12\r\n`],
    ['space around a value', `${LINE}${HOST}content-length:  12\r\n`],
    ['space behind a value', `${LINE}${HOST}content-length: 12 \r\n`],
    ['a tab', `${LINE}${HOST}${LENGTH}x-a:\t1\r\n`],
    ['a null', `${LINE}${HOST}${LENGTH}x-a: \0\r\n`],
    ['no name', `${LINE}${HOST}${LENGTH}: 1\r\n`],
    ['no colon', `${LINE}${HOST}${LENGTH}x-a\r\n`],
    ['a letter beyond ASCII', `${LINE}${HOST}${LENGTH}x-a: \xe9\r\n`],
    ['more headers than usual', LINE + HOST + LENGTH + Array.from({ length: 99 }, (_, at) => `x${at}:\r\n`).join('')],
    ['no end', `${LINE}${HOST}content-length: 12`],
  ])('has not: %s', (_what, text) => {
    expect(readHead(text)).toBeUndefined()
  })
})

describe('beside node:http', () => {
  const server = createServer()

  beforeAll(async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  })

  afterAll(() => {
    server.close()
  })

  /** What node:http makes of a message; undefined when it refuses it. */
  async function readByNode(message: string): Promise<IncomingMessage | undefined> {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    try {
      return await new Promise((resolve) => {
        server.removeAllListeners('request').removeAllListeners('clientError')
        server.on('request', resolve).on('clientError', () => resolve(undefined))
        socket.write(message, 'latin1')
        socket.on('error', () => resolve(undefined))
      })
    } finally {
      socket.destroy()
    }
  }

  const piece = fc.constantFrom(
    ...[
      'Content-Length: 2\r\n',
      'content-length:2\r\n',
      'x: y\r\n',
      'Host: a\r\n',
      'Connection: keep-alive\r\n',
      '\r\n',
    ],
    ...['x-', ':', ' ', '\t', '\r', '\n', '\0', '2', 'Transfer-Encoding: chunked\r\n', 'é', '__proto__: a\r\n', ','],
  )
  const message = fc
    .tuple(
      fc.constantFrom('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n', 'POST /a HTTP/1.1\r\n'),
      fc.array(piece),
    )
    .map(([start, pieces]) => start + pieces.join(''))

  test('whatever is read as plain is read by it as well, and alike', async () => {
    let plain = 0
    await fc.assert(
      fc.asyncProperty(message, async (text) => {
        const head = readHead(text)
        if (head === undefined || text.includes('\r\n\r\n')) return
        plain += 1
        const byNode = await readByNode(`${text}\r\nab`)
        expect(byNode).toMatchObject({ url: head.target, rawHeaders: head.rawHeaders })
        expect({ ...byNode?.headers }).toEqual(head.headers)
        expect(head.bodyBytes).toBe(2)
      }),
      { numRuns: 3000 },
    )
    expect(plain).toBeGreaterThan(100)
    const most = LINE + HOST + 'content-length: 2\r\n' + Array.from({ length: 98 }, (_, at) => `x${at}:\r\n`).join('')
    expect((await readByNode(`${most}\r\nab`))?.rawHeaders).toEqual(readHead(most)?.rawHeaders)
  })
})
