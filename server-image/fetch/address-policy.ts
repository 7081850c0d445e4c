/**
 * Where a fetch may connect. The address itself is judged, at the moment of connecting: a name that resolves to
 * something else on the second look (DNS rebinding) is judged by what is connected to.
 */
import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from 'node:dns'
import { lookup as resolve } from 'node:dns/promises'
import { BlockList, isIP, type LookupFunction } from 'node:net'
import { setTimeout as after } from 'node:timers/promises'
import { FetchError } from './fetch-error.ts'

/** Never a source of models, but of credentials: link-local ranges (cloud metadata) and the clouds' metadata addresses outside them. */
const ALWAYS_DENIED: readonly [string, number][] = [
  ['169.254.0.0', 16],
  ['100.100.100.200', 32], // Alibaba Cloud
  ['168.63.129.16', 32], // Azure host
  ['192.0.0.192', 32], // Oracle Cloud
  ['224.0.0.0', 4],
  ['255.255.255.255', 32],
  ['fe80::', 10],
  ['fd00:ec2::', 32], // AWS
  ['fd20:ce::', 32], // Google Cloud
  ['ff00::', 8],
]

const PRIVATE: readonly [string, number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['::', 128],
  ['::1', 128],
  ['fc00::', 7],
]

export interface AddressPolicy {
  readonly allows: (address: string) => boolean
}

/** Loopback and private addresses are where models live inside a cluster, so they are denied only on demand. */
export function addressPolicy(denyPrivate: boolean): AddressPolicy {
  const denied = new BlockList()
  for (const [network, prefix] of denyPrivate ? [...ALWAYS_DENIED, ...PRIVATE] : ALWAYS_DENIED) {
    denied.addSubnet(network, prefix, network.includes(':') ? 'ipv6' : 'ipv4')
  }
  return {
    allows(address) {
      const family = isIP(address)
      if (family === 0) return false
      if (family === 4) return !denied.check(address, 'ipv4')
      const embedded = embeddedIpv4(address)
      return !denied.check(address, 'ipv6') && (embedded === undefined || !denied.check(embedded, 'ipv4'))
    },
  }
}

/** A `lookup` for http.request: it gives the socket only allowed addresses, or fails with a FetchError. */
export function guardedLookup(policy: AddressPolicy): LookupFunction {
  return (hostname, options, callback) => {
    const all: LookupOptions & { all: true } = { ...options, all: true }
    dnsLookup(hostname, all, (error, addresses) => {
      if (error !== null) return callback(error, '')
      const allowed = addresses.filter(({ address }) => policy.allows(address))
      const [first] = allowed
      if (first === undefined) return callback(deniedAddress(hostname, addresses), '')
      if (options.all === true) callback(null, allowed)
      else callback(null, first.address, first.family)
    })
  }
}

/** Sockets look up no literal address, so those are judged here. @throws FetchError Forbidden */
export function refuseDeniedHost(policy: AddressPolicy, url: URL): void {
  const host = bareHost(url)
  if (isIP(host) !== 0 && !policy.allows(host)) throw deniedAddress(host, [])
}

/** Without the brackets of an IPv6 address. */
export function bareHost({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '')
}

/** A name that this host cannot resolve in this time is left to the proxy. */
const NAME_TIMEOUT_MS = 2_000

/** What only a cloud's own resolver knows. */
const DENIED_NAME =
  /^(metadata\.google\.internal|metadata\.goog|instance-data(\.[a-z0-9-]+)?\.(ec2|compute)\.internal)\.?$/

/**
 * Before a proxy is asked, which looks up the name itself. Law: what is known here to be denied is not asked of a proxy either. It cannot
 * be pinned to what was seen here, so names that resolve differently at the proxy are the proxy's to judge.
 * @throws FetchError Forbidden
 */
export async function refuseDeniedName(policy: AddressPolicy, url: URL): Promise<void> {
  const { hostname } = url
  if (isIP(bareHost(url)) !== 0) return
  if (DENIED_NAME.test(hostname)) throw deniedAddress(hostname, [])
  const timeUp = new AbortController()
  try {
    const seen = await Promise.race([
      resolve(hostname, { all: true }).catch(() => []),
      after(NAME_TIMEOUT_MS, [], { signal: timeUp.signal }),
    ])
    const denied = seen.filter(({ address }) => !policy.allows(address))
    if (denied.length > 0) throw deniedAddress(hostname, denied)
  } finally {
    timeUp.abort()
  }
}

/** For credentials only: the services of clouds that hand them out, at just these addresses. */
export function onlyAddresses(...networks: readonly (readonly [network: string, prefix: number])[]): AddressPolicy {
  const allowed = new BlockList()
  for (const [network, prefix] of networks) {
    allowed.addSubnet(network, prefix, network.includes(':') ? 'ipv6' : 'ipv4')
  }
  return { allows: (address) => isIP(address) !== 0 && allowed.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6') }
}

function deniedAddress(host: string, addresses: readonly LookupAddress[]): FetchError {
  const [first] = addresses
  const where = first === undefined ? host : `${host} (${first.address})`
  return new FetchError(
    'Forbidden',
    `Connecting to ${where} is not allowed: it is a link-local, metadata or otherwise denied address. Use another host.`,
  )
}

/** The IPv4 address inside a mapped (::ffff:0:0/96), NAT64 (64:ff9b::/96) or 6to4 (2002::/16) address. */
function embeddedIpv4(address: string): string | undefined {
  const groups = expandIpv6(address)
  const [first, second] = groups
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && (groups[5] === 0xffff || groups[5] === 0)
  const isNat64 = first === 0x64 && second === 0xff9b
  if (isMapped || isNat64) return ipv4Of(groups[6], groups[7])
  return first === 0x2002 ? ipv4Of(groups[1], groups[2]) : undefined
}

function ipv4Of(high = 0, low = 0): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

function expandIpv6(address: string): number[] {
  // The URL parser writes any IPv6 address with hexadecimal groups only.
  const [withoutZone = ''] = address.split('%', 1)
  const normal = new URL(`http://[${withoutZone}]/`).hostname.slice(1, -1)
  const [head = '', tail] = normal.split('::')
  const toGroups = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)))
  if (tail === undefined) return toGroups(head)
  const [before, after] = [toGroups(head), toGroups(tail)]
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after]
}
