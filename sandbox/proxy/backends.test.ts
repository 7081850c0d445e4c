import { describe, expect, test } from '@jest/globals'
import type { Endpoint, EndpointSlice } from '../controllers/objects.ts'
import { backendsOf, frontendsOf } from './backends.ts'
import type { Frontend, ProxiedService } from './backends.ts'
import { Chooser } from './chooser.ts'

function slice(endpoints: Endpoint[], port = 8080, name = 'http'): EndpointSlice {
  return { addressType: 'IPv4', endpoints, ports: [{ name, port, protocol: 'TCP' }] } as unknown as EndpointSlice
}

const ready = (address: string): Endpoint => ({ addresses: [address], conditions: { ready: true, serving: true } })
const leaving = (address: string): Endpoint => ({
  addresses: [address],
  conditions: { ready: false, serving: true, terminating: true },
})
const unready = (address: string): Endpoint => ({ addresses: [address], conditions: { ready: false, serving: false } })

describe('backendsOf', () => {
  test.each([
    ['ready ones only', [ready('a'), unready('b'), leaving('c')], ['a']],
    ['one that does not say is ready', [{ addresses: ['a'] }], ['a']],
    ['leaving ones when nobody is ready', [unready('b'), leaving('c')], ['c']],
    ['nobody', [unready('b')], []],
    ['an address once', [ready('a'), ready('a')], ['a']],
  ])('%s', (_, endpoints, hosts) => {
    expect(backendsOf([slice(endpoints)], 'http').map(({ host }) => host)).toEqual(hosts)
  })

  test('a named port has the number that its slice gives it', () => {
    const slices = [slice([ready('a')], 8080), slice([ready('b')], 9090), slice([ready('c')], 1, 'other')]
    expect(backendsOf(slices, 'http')).toEqual([
      { host: 'a', port: 8080 },
      { host: 'b', port: 9090 },
    ])
  })
})

describe('frontendsOf', () => {
  const service = (spec: object) => ({ metadata: { name: 's', namespace: 'n' }, spec }) as unknown as ProxiedService

  test('a headless Service, an external one and UDP have none', () => {
    const ports = [{ port: 80 }]
    expect(frontendsOf(service({ clusterIP: 'None', ports }), [])).toEqual([])
    expect(frontendsOf(service({ clusterIP: '127.1.1.1', type: 'ExternalName', ports }), [])).toEqual([])
    expect(frontendsOf(service({ clusterIP: '127.1.1.1', ports: [{ port: 53, protocol: 'UDP' }] }), [])).toEqual([])
  })
})

describe('the choice of a backend', () => {
  const backends = ['a', 'b', 'c'].map((host) => ({ host, port: 1 }))
  const frontend: Frontend = { namespace: 'n', service: 's', host: '127.1.1.1', port: 80, backends }

  test('goes round', () => {
    const chooser = new Chooser(frontend)
    const hosts = Array.from({ length: 6 }, () => chooser.next('client', 0)?.host)
    expect(hosts.slice(0, 3).sort()).toEqual(['a', 'b', 'c'])
    expect(hosts.slice(3)).toEqual(hosts.slice(0, 3))
  })

  test('keeps a client where it was, while that lasts', () => {
    const chooser = new Chooser({ ...frontend, affinityMs: 1000 })
    const first = chooser.next('one', 0)
    expect(chooser.next('two', 0)).not.toEqual(first)
    expect(chooser.next('one', 900)).toEqual(first)
    expect(chooser.next('one', 1800)).toEqual(first)
    expect(chooser.next('one', 2801)).not.toEqual(first)
    const kept = chooser.next('one', 2802)
    chooser.update({ ...frontend, affinityMs: 1000, backends: backends.filter(({ host }) => host !== kept?.host) })
    expect(chooser.next('one', 2803)).not.toEqual(kept)
  })

  test('nobody there', () => {
    expect(new Chooser({ ...frontend, backends: [] }).next('client', 0)).toBeUndefined()
  })
})
