import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { specOf } from '../story.ts'
import { IDLE, INITIAL_STATE, type State } from '../state.ts'
import { trafficConfigMap, writtenPlan } from './traffic.ts'

const owner = {
  metadata: { name: 'm', namespace: 'ns', uid: 'uid', generation: 1, resourceVersion: '1', creationTimestamp: '' },
  spec: specOf('good'),
}

const written = (state: State) =>
  writtenPlan(trafficConfigMap(owner, state)['data'] as Readonly<Record<string, string>>)

describe('what pods were last told, read back from the ConfigMap', () => {
  test.each(['10.0.0.7', 'https://10.0.0.7', 'fd00::7', 'https://fd00::7'])(
    'has the peer %s as status has it',
    (address) => {
      const attempt = { startedAt: 0, since: 0, progressedAt: 0, generation: 1, steps: [], gates: [] }
      const state: State = {
        ...INITIAL_STATE,
        stable: 'm-1',
        rollout: { ...attempt, phase: 'Promoting', candidate: 'm-2' },
        plan: {
          id: 7,
          stable: 'm-1',
          candidate: 'm-2',
          weightPermille: 500,
          shadowPermille: 0,
          peers: { 'm-2': address },
        },
      }
      expect(written(state)).toEqual({ id: 7, peers: { 'm-2': address } })
    },
  )

  test('has no peers when nobody relays', () => {
    const plan = { ...INITIAL_STATE.plan, id: 3 }
    expect(written({ ...INITIAL_STATE, stable: 'm-1', rollout: IDLE, plan })).toEqual({ id: 3, peers: {} })
  })

  test('is nothing when somebody bent it, whatever is in there', () => {
    expect(writtenPlan(undefined)).toBeUndefined()
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        const told = writtenPlan({ 'm-1.json': text })
        return told === undefined || Number.isSafeInteger(told.id)
      }),
    )
  })
})
