import { describe, expect, test } from '@jest/globals'
import { planKey, type PlanFile } from '../../protocol/plan.ts'
import type { ModelDeploymentSpec } from '../api/resource.ts'
import { revisionName } from './revision.ts'
import { conditionOf, newWorld, settle, specOf } from './story.ts'
import type { World } from './world.ts'

type Tls = NonNullable<NonNullable<ModelDeploymentSpec['server']>['tls']>

const withTls = (model: string, tls?: Tls['mode'] | 'none'): ModelDeploymentSpec => {
  const spec = { ...specOf(model), service: { grpcPort: 9001 } }
  if (tls === 'none') return spec
  return { ...spec, server: { tls: { secretName: 'm-tls', ...(tls !== undefined && { mode: tls }) } } }
}
const nameOf = (spec: ModelDeploymentSpec) => revisionName('m', spec)

function fileOf(world: World, spec: ModelDeploymentSpec): PlanFile {
  const data = world.objects.get('ConfigMap/m-traffic')?.['data'] as Record<string, string>
  return JSON.parse(data[planKey(nameOf(spec))] ?? '{}') as PlanFile
}

const protocolsOf = (world: World, service: string) =>
  (world.objects.get(`Service/${service}`)?.spec as { ports: { appProtocol?: string }[] }).ports.map(
    ({ appProtocol }) => appProtocol,
  )

describe('a revision that speaks TLS after one that does not', () => {
  const plain = withTls('good', 'none')
  const secure = withTls('better')

  test('is relayed to over TLS, before its promotion and after, and its Services say so', () => {
    const world = settle(newWorld(plain))
    expect(protocolsOf(world, 'm')).toEqual([undefined, 'kubernetes.io/h2c'])
    world.setSpec(secure)
    const seen: (string | undefined)[] = []
    for (let round = 0; round < 60; round += 1) {
      settle(world, { rounds: 1 })
      const { peer } = fileOf(world, plain)
      if (peer !== undefined) seen.push(`${peer.revision === nameOf(secure) ? 'candidate' : 'other'} by ${peer.scheme}`)
    }
    expect(seen.length).toBeGreaterThan(2)
    expect(new Set(seen)).toEqual(new Set(['candidate by https']))
    expect(world.serves).toBe(nameOf(secure))
    for (const service of ['m', 'm-canary']) expect(protocolsOf(world, service)).toEqual(['https', 'https'])
    expect(protocolsOf(world, nameOf(secure))).toEqual(['https'])
  })

  test('is relayed to over TLS though its record is lost, by the same plan', () => {
    const world = settle(newWorld(plain))
    world.setSpec(secure)
    while (world.serves !== nameOf(secure) || fileOf(world, plain).weightPermille !== 1000) settle(world, { rounds: 1 })
    const before = fileOf(world, plain)
    expect(before).toMatchObject({ retired: true, peer: { scheme: 'https' } })
    world.remove(`ControllerRevision/${nameOf(secure)}`)
    settle(world, { rounds: 1 })
    expect(fileOf(world, plain)).toEqual(before)
  })

  test('cannot ask for certificates at once: stable has none to show, and goes on', () => {
    const world = settle(newWorld(plain))
    const mutual = withTls('better', 'Mutual')
    world.setSpec(mutual)
    settle(world)
    expect(conditionOf(world, 'Stalled')).toMatchObject({ status: 'True', reason: 'InvalidSpec' })
    expect(conditionOf(world, 'Stalled')?.message).toMatch(
      /^spec\.server\.tls\.mode: Mutual refuses what stable .* relays, .*; roll out mode: Simple first/,
    )
    expect(world.serves).toBe(nameOf(plain))
    world.setSpec(withTls('better', 'Simple'))
    settle(world)
    world.setSpec(mutual)
    settle(world)
    expect(world.serves).toBe(nameOf(mutual))
    expect(conditionOf(world, 'Stalled')).toMatchObject({ status: 'False' })
  })
})

test('a first version may ask for certificates, and one without TLS may follow it', () => {
  const world = settle(newWorld(withTls('good', 'Mutual')))
  expect(conditionOf(world, 'Ready')).toMatchObject({ status: 'True' })
  const plain = withTls('better', 'none')
  world.setSpec(plain)
  settle(world)
  expect(world.serves).toBe(nameOf(plain))
  expect(protocolsOf(world, 'm')).toEqual([undefined, 'kubernetes.io/h2c'])
})
