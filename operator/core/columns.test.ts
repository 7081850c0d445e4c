import { describe, expect, test } from '@jest/globals'
import { named, newWorld, settle, settled, specOf } from './story.ts'

describe('the columns of kubectl get', () => {
  test('count steps from 1, as Events do', () => {
    const world = settled('good')
    world.setSpec(specOf('better', { steps: [{ weight: 10, hold: '1h' }] }))
    settle(world, { rounds: 12 })
    const { rollout, candidate, stable } = world.resource.status ?? {}
    expect(rollout).toMatchObject({ step: 0, progress: '1/1' })
    expect([stable?.title, candidate?.title]).toEqual(['good', 'better'])
  })

  test('show the hash of a revision that nobody named', () => {
    const spec = specOf('good')
    const world = settle(newWorld({ ...spec, model: { uri: spec.model.uri } }))
    expect(world.resource.status?.stable).toMatchObject({ title: named('good').replace('m-', '') })
    expect(world.resource.status?.stable?.version).toBeUndefined()
  })
})
