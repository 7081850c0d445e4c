import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import type { Fault, RequestFacts } from '../../sandbox/apiserver/http/faults.ts'
import { createPlace, isOfOperator, serves, type Place } from './place.ts'
import { ungated } from './versions.ts'

jest.setTimeout(120_000)

let place: Place
let disturb: (request: RequestFacts) => Fault | undefined = () => undefined
beforeAll(async () => {
  place = await createPlace({ faults: (request) => disturb(request), configMapSyncSeconds: 3600 })
}, 60_000)
afterAll(async () => {
  disturb = () => undefined
  await place.close()
}, 60_000)

/** Park and Miller's generator: the same faults in every run. */
function seededChance(seed: number): () => number {
  let state = seed
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647
}

describe('the operator', () => {
  test.each<[string, Fault]>([
    ['answers 429', { status: 429, retryAfterSeconds: 1 }],
    ['answers 500', { status: 500 }],
    ['says that the history is gone', { status: 410 }],
    ['drops connections', 'drop'],
  ])(
    'brings a rollout to its end although one in three of its requests meets an API server that %s',
    async (what, fault) => {
      const name = `faulty-${what.length}x`
      await place.apply(name, ungated('v1'))
      await place.until(name, 'v1 to serve', serves('v1'))
      let count = 0
      const chance = seededChance(what.length)
      // The lease is spared: losing it ends the process, which is another story.
      disturb = (request) => {
        if (!isOfOperator(request) || request.resource.startsWith('leases') || chance() >= 1 / 3) return undefined
        count += 1
        return fault
      }
      await place.apply(name, ungated('v2'))
      const status = await place.until(name, 'v2 to serve', serves('v2'), 90)
      disturb = () => undefined
      expect(count).toBeGreaterThan(5)
      expect(status.history?.map((entry) => entry.outcome)).toEqual(['Promoted', 'Promoted'])
      await place.remove(name)
    },
  )
})
