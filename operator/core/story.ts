/** Stories for tests of the core: models that behave well and badly, and a world that runs until nothing moves any more. */
import { isDeepStrictEqual } from 'node:util'
import { expect } from '@jest/globals'
import type { ModelDeploymentSpec } from '../api/resource.ts'
import { plan } from './plan.ts'
import { revisionName } from './revision.ts'
import { GOOD, World, type Behaviour } from './world.ts'

export const SETTINGS = { defaultImage: 'penstock/server:dev' }

export const specOf = (model: string, rollout: ModelDeploymentSpec['rollout'] = {}): ModelDeploymentSpec => ({
  model: { uri: `https://models.example/${model}.onnx`, version: model },
  scaling: { replicas: 2 },
  rollout: {
    steps: [
      { weight: 10, hold: '4s' },
      { weight: 50, hold: '4s' },
    ],
    gates: [{ name: 'errors', errorRate: { maxIncrease: 0.05 } }],
    minSamples: 50,
    ...rollout,
  },
})

export const named = (model: string) => revisionName('m', specOf(model))

const BEHAVIOURS: Readonly<Record<string, Behaviour>> = {
  good: GOOD,
  better: GOOD,
  failing: { ...GOOD, failsOf100: 20 },
  crashing: { ...GOOD, crashesUnderTraffic: true },
  unready: { ...GOOD, becomesReady: false },
  missing: { ...GOOD, resolve: { ok: false, reason: 'NotFound', message: 'no such file; check spec.model.uri' } },
  unreachable: { ...GOOD, resolve: { ok: false, reason: 'Unreachable', message: 'connection refused' } },
}
const behaviourOf = (uri: string): Behaviour => BEHAVIOURS[/([a-z]+)\.onnx/.exec(uri)?.[1] ?? ''] ?? GOOD

export const newWorld = (spec: ModelDeploymentSpec) => new World(spec, behaviourOf)

interface RunOptions {
  readonly crashes?: readonly number[]
  readonly requests?: number
  readonly rounds?: number
}

/** Reconciles until nothing moves any more; each crash cuts one reconcile short after that many writes. */
export function settle(world: World, options: RunOptions = {}): World {
  const { crashes: given = [], rounds = 200, requests = 400 } = options
  const crashes = [...given]
  const planIds: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    // Before and after: what a plan makes is not there yet, and what time has just changed was not seen by it.
    const wasSettled = world.isSettled
    const next = plan(world.observe(), SETTINGS, world.now)
    const quiet = isDeepStrictEqual(next.status, world.resource.status) && next.requeueAfterMs === undefined
    const complete = world.commit(next, crashes.shift() ?? Infinity)
    planIds.push(planId(world))
    world.pass(1000, requests)
    if (quiet && complete && crashes.length === 0 && wasSettled && world.isSettled) return inOrder(world, planIds)
  }
  return inOrder(world, planIds)
}

const planId = (world: World) => world.resource.status?.plan?.id ?? 0

function inOrder(world: World, planIds: readonly number[]): World {
  expect(planIds).toEqual([...planIds].sort((a, b) => a - b))
  return world
}

export const settled = (model: string) => settle(newWorld(specOf(model)))

export const conditionOf = (world: World, type: string) =>
  world.resource.status?.conditions?.find((each) => each.type === type)

/** A world that stands in the middle of shifting from `good` to `better`. */
export function shifting(): World {
  const world = settled('good')
  world.setSpec(specOf('better', { steps: [{ weight: 10, hold: '1h' }] }))
  return settle(world, { rounds: 30 })
}

/** A world in which `better` has just taken over from `good`, which is still warm. */
export function switched(): World {
  const world = settled('good')
  world.setSpec(specOf('better'))
  for (let round = 0; world.serves !== named('better') && round < 200; round += 1) settle(world, { rounds: 1 })
  return world
}

export function rejectedBy(world: World) {
  return world.resource.status?.rejected?.map((each) => each.revision) ?? []
}
