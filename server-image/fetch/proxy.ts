/**
 * Which requests go through a forward proxy, by the variables and rules that curl has: HTTP_PROXY, HTTPS_PROXY and NO_PROXY, in upper
 * or lower case. Beyond curl, what is on this very machine is never asked of a proxy, and entries of NO_PROXY may have a port.
 */
import { Agent as HttpAgent, type AgentOptions, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { BlockList, isIP } from 'node:net'
import { bareHost } from './address-policy.ts'
import { FetchError } from './fetch-error.ts'
import type { Environment } from './environment.ts'

export interface Proxy {
  /** May hold user and password. */
  readonly url: URL
  /** How messages name it. */
  readonly name: string
}

/** Undefined: connect to the host itself. @throws FetchError that names the variable which is malformed */
export type ProxyFor = (url: URL) => Proxy | undefined

export const noProxy: ProxyFor = () => undefined

export function proxyFrom(env: Environment): ProxyFor {
  return (url) => {
    const variable = variableOf(env, url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY')
    if (variable === undefined || isHere(url)) return undefined
    const exempt = variableOf(env, 'NO_PROXY')
    return exempt !== undefined && isExempt(exempt, url) ? undefined : parseProxy(variable)
  }
}

/** For one request. Node's agent sends absolute-form or CONNECT; that it knows no NO_PROXY is meant: the choice is made before. */
export function agentFor(url: URL, proxy: Proxy | undefined): HttpAgent {
  const options: AgentOptions & { proxyEnv: Record<string, string> } = {
    proxyEnv: proxy === undefined ? {} : { HTTP_PROXY: proxy.url.href, HTTPS_PROXY: proxy.url.href },
  }
  return url.protocol === 'https:' ? new HttpsAgent(options) : new HttpAgent(options)
}

/** What the proxy itself answered, with CONNECT or in place of the server. Undefined: the answer may be the server's own. */
export function proxyRefusal(proxy: Proxy, host: string, status: number): FetchError | undefined {
  // 401 is tinyproxy's for a wrong password.
  if (status === 407 || status === 401) {
    return new FetchError(
      'Forbidden',
      `The proxy ${proxy.name} wants other credentials for ${host} (status ${status}); put user and password into its URL, before the host and an @.`,
    )
  }
  if (status >= 500 || status === 408 || status === 429) return undefined
  return new FetchError(
    'Forbidden',
    `The proxy ${proxy.name} refuses ${host} (status ${status}); have it allow that host, or name the host in NO_PROXY if it can be reached without.`,
  )
}

/** Proxies answer plain http in the server's place; common ones sign their error pages. */
export function isProxysOwn({ statusCode = 0, headers }: IncomingMessage): boolean {
  if (statusCode === 407) return true
  return (
    statusCode >= 400 && ('x-squid-error' in headers || /^(squid|tinyproxy)\b/i.test(String(headers['server'] ?? '')))
  )
}

interface Variable {
  readonly name: string
  readonly value: string
}

function variableOf(env: Environment, upper: string): Variable | undefined {
  const names = [upper.toLowerCase(), upper]
  return names.map((name) => ({ name, value: env[name]?.trim() ?? '' })).find(({ value }) => value !== '')
}

/** Law: the value is never shown, as it may hold a password. */
function parseProxy({ name, value }: Variable): Proxy {
  const url = URL.parse(/^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`)
  if (url === null || !isDecodable(url.username) || !isDecodable(url.password)) {
    throw new FetchError(
      'InvalidArgument',
      `${name} is not a valid URL; write http://HOST:PORT, with special characters of user and password percent-encoded.`,
    )
  }
  if (!/^https?:$/.test(url.protocol)) {
    throw new FetchError(
      'InvalidArgument',
      `${name} names a proxy of the kind ${url.protocol}//, which is not supported; http:// and https:// proxies are.`,
    )
  }
  return { url, name: `${url.protocol}//${url.host} (${name})` }
}

function isDecodable(text: string): boolean {
  try {
    return !/[\r\n]/.test(decodeURIComponent(text))
  } catch {
    return false
  }
}

/** Through a proxy these would be the proxy's own. */
function isHere(url: URL): boolean {
  const host = comparedHost(url)
  return /^(.+\.)?localhost$/.test(host) || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** As it is compared: without brackets or the root's dot. URLs have hosts in lower case already. */
function comparedHost(url: URL): string {
  return bareHost(url).replace(/\.$/, '')
}

/** https://curl.se/libcurl/c/CURLOPT_NOPROXY.html */
function isExempt({ name, value }: Variable, url: URL): boolean {
  const host = comparedHost(url)
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port
  return value
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      const [pattern, onlyPort] = splitPort(entry)
      if (onlyPort !== undefined && onlyPort !== port) return false
      return pattern === '*' || (isIP(host) === 0 ? isInDomain(host, pattern) : isInNetwork(host, pattern, name))
    })
}

function splitPort(entry: string): readonly [pattern: string, port: string | undefined] {
  const [, bracketed, bracketedPort] = /^\[([^\]]*)\](?::(\d+))?$/.exec(entry) ?? []
  if (bracketed !== undefined) return [bracketed, bracketedPort]
  const [, pattern, port] = /^([^:]*):(\d+)$/.exec(entry) ?? []
  return pattern === undefined ? [entry, undefined] : [pattern, port]
}

/** `example.com`, `.example.com` and `*.example.com` all stand for the domain and what is below it. */
function isInDomain(host: string, pattern: string): boolean {
  const domain = pattern.replace(/^\*?\./, '').replace(/\.$/, '')
  return domain !== '' && (host === domain || host.endsWith(`.${domain}`))
}

function isInNetwork(host: string, pattern: string, variable: string): boolean {
  const [network = '', prefix] = pattern.split('/')
  const family = isIP(network)
  if (family === 0) return false
  const bits = family === 4 ? 32 : 128
  const length = prefix === undefined ? bits : Number(prefix)
  if (!/^\d*$/.test(prefix ?? '') || prefix === '' || length > bits) {
    throw new FetchError(
      'InvalidArgument',
      `${variable} has "${pattern}", which is no network; write ADDRESS/LENGTH, for example 10.0.0.0/8.`,
    )
  }
  const networks = new BlockList()
  networks.addSubnet(network, length, familyName(family))
  return networks.check(host, familyName(isIP(host)))
}

function familyName(family: number): 'ipv4' | 'ipv6' {
  return family === 4 ? 'ipv4' : 'ipv6'
}
