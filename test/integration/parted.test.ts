import { afterAll, beforeAll, expect, jest, test } from '@jest/globals'
import type { ModelDeploymentSpec } from '../../operator/api/resource.ts'
import type { Operator } from '../../operator/operator.ts'
import type { Fault, RequestFacts } from '../../sandbox/apiserver/http/faults.ts'
import { createPlace, isOfOperator, eventually, exampleModel, serves, type Place } from './place.ts'

jest.setTimeout(240_000)

let place: Place
let disturb: (request: RequestFacts) => Fault | undefined = () => undefined
beforeAll(async () => {
  place = await createPlace({ faults: (request) => disturb(request) })
}, 60_000)
afterAll(async () => {
  disturb = () => undefined
  await place.close()
}, 60_000)

const spec = (version: 'v1' | 'v2', hold = '1s'): ModelDeploymentSpec => ({
  model: { uri: exampleModel(version), version },
  service: { port: 8000 },
  rollout: { steps: [{ weight: 50, hold }], minSamples: 50 },
})

test('an operator that cannot reach the API for a minute harms nobody, and then goes on where it was', async () => {
  await place.stopOperator()
  let operator: Promise<Operator>
  // A process would end here, and be started again.
  const start = (): Promise<Operator> =>
    place.anotherOperator(() => {
      const lost = operator
      operator = lost.then((each) => each.stop()).then(start)
    })
  operator = start()
  try {
    await place.apply('parted', spec('v1'))
    await place.until('parted', 'v1 to serve', serves('v1'))
    const traffic = await place.traffic('parted', 50)
    await place.apply('parted', spec('v2', '20s'))
    await place.until('parted', 'v2 to have a share', (status) => status.rollout?.acknowledgedAt !== undefined)
    disturb = (request) => (isOfOperator(request) ? 'drop' : undefined)
    const partedAt = performance.now()
    await eventually('a minute to pass', async () => (performance.now() - partedAt > 60_000 ? true : undefined), 90)
    const meanwhile = (await place.read('parted')).status
    expect(meanwhile?.rollout).toMatchObject({ phase: 'Shifting', step: 0 })
    disturb = () => undefined
    const status = await place.until('parted', 'v2 to serve', serves('v2'), 90)
    expect(status.history?.map((entry) => entry.outcome)).toEqual(['Promoted', 'Promoted'])
    const total = await traffic.stop()
    expect(total.failures).toEqual([])
    expect(total.sent).toBeGreaterThan(1000)
  } finally {
    disturb = () => undefined
    await (await operator).stop()
    await place.startOperator()
  }
})
