import { describe, expect, test } from '@jest/globals'
import type { PlanFile } from '../../../protocol/plan.ts'
import { parsePlan } from './plan-file.ts'

const plan: PlanFile = {
  id: 3,
  revision: 'own',
  peer: { revision: 'next', address: '10.0.0.7:8080' },
  weightPermille: 50,
  shadowPermille: 0,
  stickyHeader: 'x-user-id',
  retired: false,
}

const parse = (changes: object) => parsePlan(JSON.stringify({ ...plan, ...changes }), 'own')

describe('a plan file', () => {
  test('is read as it was written', () => {
    expect(parse({})).toEqual(plan)
    expect(parse({ peer: undefined, weightPermille: 0, stickyHeader: undefined })).toEqual({
      id: 3,
      revision: 'own',
      weightPermille: 0,
      shadowPermille: 0,
      retired: false,
    })
  })

  test.each(['[2001:db8::7]:8080', 'canary.ml.svc:80'])('may name the peer %s', (address) => {
    expect(parse({ peer: { revision: 'next', address } }).peer?.address).toBe(address)
  })

  test('may hold members of a newer operator', () => {
    expect(parse({ mirrors: 2 })).toEqual(plan)
  })

  test.each<[object, string]>([
    [{ revision: 'other' }, 'revision must be own'],
    [{ id: '3' }, 'id must be an integer'],
    [{ id: -1 }, 'id must be an integer'],
    [{ weightPermille: 1001 }, 'weightPermille must be an integer in 0..1000'],
    [{ weightPermille: 0.5 }, 'weightPermille must be an integer'],
    [{ shadowPermille: null }, 'shadowPermille must be an integer'],
    [{ peer: undefined }, 'peer is missing'],
    [{ peer: { revision: 'own', address: '10.0.0.7:80' } }, 'peer.revision must name another revision'],
    [{ peer: { revision: 'next', address: 'http://10.0.0.7' } }, 'peer.address must be host:port'],
    [{ peer: { revision: 'next', address: '10.0.0.7:80@evil:80' } }, 'peer.address must be host:port'],
    [{ peer: { revision: 'next', address: '10.0.0.7:99999' } }, 'peer.address must be host:port'],
    [{ stickyHeader: 'X User' }, 'stickyHeader must be'],
    [{ retired: 'no' }, 'retired must be a boolean'],
  ])('with %j is refused by naming the field', (changes, problem) => {
    expect(() => parse(changes)).toThrow(problem)
  })

  test.each(['', '{"id": 3', 'null', '[]'])('that is no object (%j) is refused', (text) => {
    expect(() => parsePlan(text, 'own')).toThrow()
  })
})
