import { X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import type { ModelDeploymentSpec, ModelDeploymentStatus } from '../../operator/api/resource.ts'
import { SECRET } from '../../operator/kube/resources.ts'
import { makeAuthority, type Authority } from '../../operator/kube/test-certificates.ts'
import { askSecurely, type Pair } from '../../server-image/serve/tls/testing.ts'
import { conditionOf, createPlace, exampleModel, isStalled, NAMESPACE, serves, type Place } from './place.ts'

jest.setTimeout(240_000)

let place: Place
let authority: Authority
beforeAll(async () => {
  ;[place, authority] = await Promise.all([createPlace(), makeAuthority()])
}, 60_000)
afterAll(() => place.close(), 60_000)

const spec = (
  version: 'v1' | 'v2' | 'v4',
  tls?: NonNullable<ModelDeploymentSpec['server']>['tls'],
): ModelDeploymentSpec => ({
  model: { uri: exampleModel(version), version },
  ...(tls !== undefined && { server: { tls } }),
  scaling: { replicas: 2 },
  service: { port: 8443 },
  rollout: {
    steps: [{ weight: 50, hold: '1s' }],
    gates: [{ name: 'errors', errorRate: { maxIncrease: 0.05 } }],
    minSamples: 50,
    scaleDownDelay: '5s',
  },
})

/** As cert-manager writes it. */
async function certify(secretName: string, hostname: string): Promise<Pair> {
  const pair = await authority.issue(hostname)
  const stringData = { 'tls.crt': pair.cert, 'tls.key': pair.key, 'ca.crt': authority.certificate }
  const secret = { metadata: { name: secretName, namespace: NAMESPACE }, type: 'kubernetes.io/tls', stringData }
  await place.client.apply(SECRET, secret, { fieldManager: 'test', force: true })
  return pair
}

const hostname = (name: string) => `${name}.${NAMESPACE}.svc`
const rolledBack = ({ history }: ModelDeploymentStatus) => history?.[0]?.outcome === 'RolledBack'

test('a model that knows its clients is rolled out, and back, over TLS, and no request fails', async () => {
  const name = 'secure'
  const pair = await certify('secure-tls', hostname(name))
  const tls = { secretName: 'secure-tls', mode: 'Mutual' } as const
  const client = await authority.issue('client.shop')
  const known = { ca: authority.certificate, servername: hostname(name), ...client }
  await place.apply(name, spec('v1', tls))
  await place.until(name, 'v1 to serve', serves('v1'))
  const { host, port } = await place.serviceAddress(name)
  const unknown = { ca: authority.certificate, servername: hostname(name) }
  expect(await askSecurely(`https://${host}:${port}/predict`, unknown, {})).toMatchObject({ status: 401 })
  expect(await askSecurely(`https://${host}:${port}/health`, unknown)).toMatchObject({ status: 200 })

  const traffic = await place.traffic(name, 150, known)
  await place.apply(name, spec('v2', tls))
  const promoted = await place.until(name, 'v2 to serve', serves('v2'), 90)
  expect(promoted.history?.[0]?.evidence).toMatchObject([{ name: 'errors', verdict: 'Pass' }])
  await place.apply(name, spec('v4', tls))
  await place.until(name, 'v4 to be rolled back', rolledBack, 90)
  const total = await traffic.stop()
  expect(total.failures).toEqual([])
  expect(total.byRevision.size).toBeGreaterThanOrEqual(2)

  const { raw } = new X509Certificate(pair.cert)
  const renewed = await certify('secure-tls', hostname(name))
  expect(new X509Certificate(renewed.cert).raw.equals(raw)).toBe(false)
  const again = await place.traffic(name, 50, known)
  await place.apply(name, spec('v1', tls))
  await place.until(name, 'v1 to serve again', serves('v1'), 90)
  expect((await again.stop()).failures).toEqual([])
  await place.remove(name)
})

test('TLS comes with a rollout, from stable without it; asking for certificates comes after', async () => {
  const name = 'moving'
  await certify('moving-tls', hostname(name))
  await place.apply(name, spec('v1'))
  await place.until(name, 'v1 to serve', serves('v1'))
  await place.apply(name, spec('v2', { secretName: 'moving-tls', mode: 'Mutual' }))
  const stalled = await place.until(name, 'Mutual to be refused', isStalled)
  expect(conditionOf(stalled, 'Stalled')?.message).toContain('spec.server.tls.mode')
  const traffic = await place.traffic(name)
  const simple = spec('v2', { secretName: 'moving-tls' })
  await place.apply(name, { ...simple, rollout: { ...simple.rollout, steps: [{ weight: 50, approve: true }] } })
  const waits = ({ held }: ModelDeploymentStatus) => held?.by === 'Approval'
  const { candidate } = await place.until(name, 'v2 to have answered well what v1 relays', waits, 90)
  const total = await traffic.stop()
  expect([total.failures, total.byRevision.size]).toEqual([[], 2])
  await place.act(name, { id: 'go', verb: 'approve', revision: candidate?.revision ?? '' })
  await place.until(name, 'v2 to serve', serves('v2'), 90)
  const { host, port } = await place.serviceAddress(name)
  const known = { ca: authority.certificate, servername: hostname(name) }
  expect(await askSecurely(`https://${host}:${port}/health`, known)).toMatchObject({ status: 200 })
  await place.remove(name)
})
