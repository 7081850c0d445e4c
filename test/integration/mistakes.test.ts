import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals'
import type { ModelDeploymentSpec } from '../../operator/api/resource.ts'
import { SERVICE } from '../../operator/kube/resources.ts'
import { conditionOf, createPlace, exampleModel, isReady, isStalled, NAMESPACE, type Place } from './place.ts'

jest.setTimeout(120_000)

let place: Place
beforeAll(async () => {
  place = await createPlace()
}, 60_000)
afterAll(() => place.close(), 60_000)

const spec = (version: 'v1' | 'v2', overrides: Partial<ModelDeploymentSpec> = {}): ModelDeploymentSpec => ({
  model: { uri: exampleModel(version), version },
  scaling: { replicas: 1 },
  service: { port: 8000 },
  rollout: { steps: [{ weight: 20, hold: '2s' }] },
  ...overrides,
})

async function serving(name: string) {
  await place.apply(name, spec('v1'))
  await place.until(name, 'to serve its first version', isReady)
}

describe('what a person gets wrong', () => {
  test.each<[string, Partial<ModelDeploymentSpec> | object, string]>([
    ['no model', { model: undefined }, 'spec.model: Required value'],
    ['both scaling and autoscaling', { autoscaling: { maxReplicas: 3 } }, 'not both'],
    ['a weight over 100', { rollout: { steps: [{ weight: 101, hold: '1s' }] } }, 'spec.rollout.steps[0].weight'],
    [
      'weights that decrease',
      {
        rollout: {
          steps: [
            { weight: 50, hold: '1s' },
            { weight: 10, hold: '1s' },
          ],
        },
      },
      'must not decrease',
    ],
    [
      'a gate of two kinds',
      { rollout: { gates: [{ name: 'a', errorRate: { maxIncrease: 0.1 }, agreement: { min: 1 } }] } },
      'exactly one of',
    ],
    [
      'a hold that is no duration',
      { rollout: { steps: [{ weight: 5, hold: 'a while' }] } },
      'spec.rollout.steps[0].hold',
    ],
  ])('%s is refused with the name of the field', async (_name, overrides, message) => {
    await expect(place.apply('wrong', { ...spec('v1'), ...overrides })).rejects.toThrow(message)
  })

  test.each([
    ['a'.repeat(41), 'at most 40 characters'],
    ['fraud-canary', '-canary'],
    ['fraud-0123456789', 'ten hexadecimal digits'],
    ['0fraud', 'DNS-1035'],
  ])('the name %s is refused', async (name, message) => {
    await expect(place.apply(name, spec('v1'))).rejects.toThrow(message)
  })

  test('a name of forty characters serves', async () => {
    await serving('n'.repeat(40))
  })

  test('a field that is not supported stalls with its name while stable goes on', async () => {
    await serving('unsupported')
    await place.apply('unsupported', { ...spec('v2'), rollout: { steps: [{ shadow: 50, hold: '1s' }] } })
    const status = await place.until('unsupported', 'to stall', isStalled)
    expect(conditionOf(status, 'Stalled')?.message).toContain('spec.rollout.steps[0].shadow')
    expect(conditionOf(status, 'Available')).toMatchObject({ status: 'True' })
  })

  test('a source that does not answer is named in status within 30 s, and stable is untouched', async () => {
    await serving('unreachable')
    await place.apply('unreachable', spec('v2', { model: { uri: 'http://127.0.0.1:1/model.onnx' } }))
    const status = await place.until(
      'unreachable',
      'the reason',
      (seen) => conditionOf(seen, 'Ready')?.message.includes('Unreachable') === true,
      30,
    )
    expect(conditionOf(status, 'Reconciling')).toMatchObject({ status: 'True' })
    expect(status.stable).toMatchObject({ version: 'v1', readyReplicas: 1 })
  })

  test('a Service of that name that belongs to somebody else is not touched, and status names it', async () => {
    await place.client.create(SERVICE, {
      metadata: { name: 'taken', namespace: NAMESPACE },
      spec: { ports: [{ port: 1234 }] },
    })
    await place.apply('taken', spec('v1'))
    const status = await place.until('taken', 'to stall', isStalled)
    expect(conditionOf(status, 'Stalled')?.message).toContain('Service taken exists and belongs to nobody')
    const service = await place.client.get(SERVICE, { namespace: NAMESPACE, name: 'taken' })
    expect(service.spec?.ports?.map((port) => port.port)).toEqual([1234])
  })
})
