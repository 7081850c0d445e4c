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

  test('goes on being called by TLS though its record is lost while nothing is under way', () => {
    const world = settle(newWorld(secure))
    world.remove(`ControllerRevision/${nameOf(secure)}`)
    settle(world, { rounds: 3 })
    expect(conditionOf(world, 'Stalled')).toMatchObject({ reason: 'RecordMissing' })
    for (const service of ['m', 'm-canary']) expect(protocolsOf(world, service)).toEqual(['https', 'https'])
    expect(protocolsOf(world, nameOf(secure))).toEqual(['https'])
    world.remove(`Deployment/${nameOf(secure)}`)
    settle(world, { rounds: 1 })
    expect(protocolsOf(world, 'm')).toEqual(['https', 'https'])
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

/** Rounds in which somebody without a certificate relays to a revision that wants one. */
function refusedRounds(world: World, plain: ModelDeploymentSpec, mutual: ModelDeploymentSpec, rounds: number): number {
  let refused = 0
  for (let round = 0; round < rounds; round += 1) {
    settle(world, { rounds: 1 })
    const { peer, weightPermille } = fileOf(world, plain)
    if (peer?.revision === nameOf(mutual) && weightPermille > 0) refused += 1
  }
  return refused
}

test('asking for certificates waits until a replaced revision without one is gone, and then goes on by itself', () => {
  const [plain, simple, mutual] = [withTls('good', 'none'), withTls('better', 'Simple'), withTls('better', 'Mutual')]
  const world = settle(newWorld(plain))
  world.setSpec(simple)
  while (world.serves !== nameOf(simple)) settle(world, { rounds: 1 })
  world.setSpec(mutual)
  expect(refusedRounds(world, plain, mutual, 3)).toBe(0)
  expect(conditionOf(world, 'Stalled')).toMatchObject({ status: 'False' })
  expect(conditionOf(world, 'Reconciling')).toMatchObject({ status: 'True', reason: 'WaitingForRetiring' })
  expect(conditionOf(world, 'Ready')?.message).toMatch(
    /a replaced revision .* relays, .*; it goes on once that is gone/,
  )
  expect(refusedRounds(world, plain, mutual, 500)).toBe(0)
  expect(world.serves).toBe(nameOf(mutual))
})

test('an undo while spec waits for a replaced revision says how to leave it', () => {
  const [plain, simple, mutual] = [withTls('good', 'none'), withTls('better', 'Simple'), withTls('better', 'Mutual')]
  const world = settle(newWorld(plain))
  world.setSpec(simple)
  while (world.serves !== nameOf(simple)) settle(world, { rounds: 1 })
  world.setSpec(mutual)
  world.annotate({ id: 'u', verb: 'undo', revision: nameOf(plain) })
  settle(world, { rounds: 60 })
  expect(world.serves).toBe(nameOf(plain))
  expect(conditionOf(world, 'Stalled')).toMatchObject({ status: 'True', reason: 'Overridden' })
})

test('an undo to a revision that asks for certificates is refused while stable has none', () => {
  const [mutual, plain] = [withTls('good', 'Mutual'), withTls('better', 'none')]
  const world = settle(newWorld(mutual))
  world.setSpec(plain)
  settle(world)
  world.annotate({ id: 'u', verb: 'undo', revision: nameOf(mutual) })
  expect(refusedRounds(world, plain, mutual, 60)).toBe(0)
  expect(world.resource.status?.lastHandledAction?.result).toMatch(/^Refused: .* mode: Simple first$/)
  expect(world.serves).toBe(nameOf(plain))
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
