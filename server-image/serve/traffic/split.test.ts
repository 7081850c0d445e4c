import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { Split, stickyBucket } from './split.ts'

const permille = fc.integer({ min: 0, max: 1000 })

describe('a split by count', () => {
  test('is exact to one request in any stretch of the sequence', () => {
    fc.assert(
      fc.property(
        permille,
        fc.integer({ min: 0, max: 999 }),
        fc.nat({ max: 3000 }),
        fc.nat({ max: 3000 }),
        (share, phase, skip, n) => {
          const split = new Split(share, phase)
          for (let request = 0; request < skip; request += 1) split.take()
          let taken = 0
          for (let request = 0; request < n; request += 1) taken += split.take() ? 1 : 0
          expect(Math.abs(taken - (n * share) / 1000)).toBeLessThan(1)
        },
      ),
    )
  })

  test.each([
    [0, 0],
    [50, 500],
    [333, 3330],
    [1000, 10_000],
  ])('takes %i permille of 10,000 requests as %i', (share, wanted) => {
    const split = new Split(share)
    expect(Array.from({ length: 10_000 }, () => split.take()).filter(Boolean)).toHaveLength(wanted)
  })

  test('spreads the share evenly', () => {
    const split = new Split(250)
    expect(Array.from({ length: 8 }, () => split.take())).toEqual([
      false,
      false,
      false,
      true,
      false,
      false,
      false,
      true,
    ])
  })
})

describe('a split by user', () => {
  test('puts a user at one place in 0..999, whatever the share', () => {
    fc.assert(
      fc.property(fc.string(), fc.string({ unit: 'binary' }), (salt, user) => {
        const bucket = stickyBucket(salt, user)
        expect(bucket).toBe(stickyBucket(salt, user))
        expect(Number.isInteger(bucket) && bucket >= 0 && bucket < 1000).toBe(true)
      }),
    )
  })

  test('spreads users who differ in their last digits evenly', () => {
    const buckets = Array.from({ length: 100_000 }, (_, user) => stickyBucket('fraud-6f7a8b9c0d', `user-${user}`))
    for (const share of [10, 50, 250, 500]) {
      const taken = buckets.filter((bucket) => bucket < share).length
      // Six standard deviations of a binomial.
      expect(Math.abs(taken - 100 * share)).toBeLessThan(6 * Math.sqrt(100 * share))
    }
  })

  test('begins each rollout with other users', () => {
    const first = Array.from({ length: 10_000 }, (_, user) => user).filter((user) => stickyBucket('a', `${user}`) < 100)
    const again = first.filter((user) => stickyBucket('b', `${user}`) < 100)
    expect(again.length / first.length).toBeLessThan(0.2)
  })
})
