import { describe, expect, test } from '@jest/globals'
import { FetchError } from './fetch-error.ts'
import { proxyFrom } from './proxy.ts'

const HTTP = 'http://plain-proxy:3128/'
const HTTPS = 'http://tunnel-proxy:3128/'

const chosen = (url: string, env: Record<string, string>) => proxyFrom(env)(new URL(url))?.url.href

describe('which proxy', () => {
  const both = { HTTP_PROXY: HTTP, HTTPS_PROXY: HTTPS }
  test.each<[string, string, Record<string, string>, string | undefined]>([
    ['none without variables', 'https://example.com/', {}, undefined],
    ['by the scheme of the URL: http', 'http://example.com/', both, HTTP],
    ['by the scheme of the URL: https', 'https://example.com/', both, HTTPS],
    ['one for http is none for https', 'https://example.com/', { HTTP_PROXY: HTTP }, undefined],
    ['lower case', 'https://example.com/', { https_proxy: HTTPS }, HTTPS],
    ['lower case first', 'https://example.com/', { https_proxy: HTTPS, HTTPS_PROXY: HTTP }, HTTPS],
    ['an empty one is none', 'https://example.com/', { https_proxy: '', HTTPS_PROXY: HTTPS }, HTTPS],
    ['without a scheme it is http', 'https://example.com/', { HTTPS_PROXY: 'tunnel-proxy:3128' }, HTTPS],
    ['a newline at the end, as files have it', 'https://example.com/', { HTTPS_PROXY: `${HTTPS}\n` }, HTTPS],
    ['never for this machine: loopback', 'http://127.0.0.1:9000/', both, undefined],
    ['never for this machine: IPv6', 'http://[::1]:9000/', both, undefined],
    ['never for this machine: its name', 'https://localhost/', both, undefined],
  ])('%s', (_what, url, env, expected) => expect(chosen(url, env)).toBe(expected))
})

describe('NO_PROXY', () => {
  test.each<[list: string, url: string, isDirect: boolean]>([
    ['*', 'https://example.com/', true],
    ['example.com', 'https://example.com/', true],
    ['example.com', 'https://www.example.com/', true],
    ['example.com', 'https://notexample.com/', false],
    ['example.com', 'https://example.com.org/', false],
    ['.example.com', 'https://www.example.com/', true],
    ['.example.com', 'https://example.com/', true],
    ['*.example.com', 'https://www.example.com/', true],
    ['Example.COM', 'https://EXAMPLE.com./', true],
    ['one.org, example.com,two.org', 'https://example.com/', true],
    ['one.org example.com', 'https://example.com/', true],
    ['example.com:8443', 'https://example.com:8443/', true],
    ['example.com:8443', 'https://example.com/', false],
    ['example.com:443', 'https://example.com/', true],
    ['10.0.0.0/8', 'https://10.96.0.1/', true],
    ['10.0.0.0/8', 'https://11.0.0.1/', false],
    ['10.0.0.0/8', 'https://ten.example.com/', false],
    ['192.168.1.7', 'https://192.168.1.7:9000/', true],
    ['192.168.1.7:9000', 'https://192.168.1.7:9001/', false],
    ['fd00::/8', 'https://[fd12::1]/', true],
    ['[fd12::1]:9000', 'https://[fd12::1]:9000/', true],
    ['fd12::1', 'https://[fd12:0::1]/', true],
    ['.svc,.cluster.local', 'https://minio.ml.svc/', true],
    ['.svc,.cluster.local', 'https://minio.ml.svc.cluster.local:9000/', true],
    [' , ', 'https://example.com/', false],
    ['.', 'https://example.com/', false],
  ])('%p and %s: direct is %p', (list, url, isDirect) => {
    expect(chosen(url, { HTTPS_PROXY: HTTPS, NO_PROXY: list })).toBe(isDirect ? undefined : HTTPS)
    expect(chosen(url, { HTTPS_PROXY: HTTPS, no_proxy: list, NO_PROXY: 'else.org' })).toBe(isDirect ? undefined : HTTPS)
  })
})

test.each([
  ['HTTPS_PROXY', 'http://user:hidden@:3128'],
  ['HTTPS_PROXY', 'http://user:hidden%@proxy:3128'],
  ['HTTPS_PROXY', 'http://user:hidden%0d%0aX-Other:%20y@proxy:3128'],
  ['https_proxy', 'socks5://user:hidden@proxy:1080'],
  ['https_proxy', 'http://proxy:hidden'],
])('a malformed %s is named, and not shown', (variable, value) => {
  const choose = () => proxyFrom({ [variable]: value })(new URL('https://example.com/'))
  expect(choose).toThrow(FetchError)
  expect(choose).toThrow(variable)
  expect(choose).not.toThrow('hidden')
})

test.each(['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/255.0.0.0', 'fd00::/129'])('%s in NO_PROXY is no network', (list) => {
  const env = { HTTPS_PROXY: HTTPS, NO_PROXY: list }
  expect(() => proxyFrom(env)(new URL('https://8.8.8.8/'))).toThrow(/NO_PROXY has .* write ADDRESS\/LENGTH/)
})

test('a malformed variable that is not needed does not matter', () => {
  expect(chosen('http://example.com/', { HTTPS_PROXY: 'socks5://proxy' })).toBeUndefined()
  expect(chosen('https://example.com/', { HTTPS_PROXY: 'socks5://proxy', NO_PROXY: '*' })).toBeUndefined()
})
