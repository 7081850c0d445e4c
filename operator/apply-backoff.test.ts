import { expect, test } from '@jest/globals'
import { createApplyBackoff } from './apply-backoff.ts'
import type { ApplyProblem } from './core/observation.ts'

const wish = (content: unknown = 1, object = 'Deployment d') => ({ ownerUid: 'u', object, content })
const problem = (kind: ApplyProblem['kind']): ApplyProblem => ({ object: 'Deployment d', message: 'no', kind })

/** Seconds at which a write is tried that fails each time, when somebody looks every second. */
function triesOf(kind: ApplyProblem['kind'], seconds: number): number[] {
  let now = 0
  const backoff = createApplyBackoff({ monotonicMs: () => now })
  const tries: number[] = []
  for (; now < seconds * 1000; now += 1000) {
    if (backoff.problemOf(wish()) !== undefined) continue
    tries.push(now / 1000)
    backoff.failed(wish(), problem(kind))
  }
  return tries
}

test('what fails is tried after 1, 2, 4 seconds and so on, but within two minutes', () => {
  expect(triesOf('Invalid', 500)).toEqual([0, 1, 3, 7, 15, 31, 63, 127, 247, 367, 487])
})

test('what may pass is tried every 15 seconds at least', () => {
  expect(triesOf('Passing', 60)).toEqual([0, 1, 3, 7, 15, 30, 45])
})

test('a changed wish is tried at once, and so is one that was given up or has succeeded in between', () => {
  const backoff = createApplyBackoff({ monotonicMs: () => 0 })
  backoff.failed(wish(), problem('Invalid'))
  expect(backoff.problemOf(wish())).toEqual(problem('Invalid'))
  expect(backoff.problemOf(wish(2))).toBeUndefined()
  backoff.keepOnly('u', new Set(['Service s']))
  expect(backoff.problemOf(wish())).toBeUndefined()
  backoff.failed(wish(), problem('Invalid'))
  backoff.succeeded(wish())
  expect(backoff.problemOf(wish())).toBeUndefined()
})

test('one that fails keeps no other waiting, and only so many owners are remembered', () => {
  const backoff = createApplyBackoff({ monotonicMs: () => 0, memory: 1 })
  backoff.failed(wish(), problem('Invalid'))
  expect(backoff.problemOf(wish(1, 'Service s'))).toBeUndefined()
  backoff.failed({ ...wish(), ownerUid: 'other' }, problem('Invalid'))
  expect(backoff.problemOf(wish())).toBeUndefined()
})
