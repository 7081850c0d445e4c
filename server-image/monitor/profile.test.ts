import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { profileOf, type Cell } from './profile-build.ts'
import { parseProfile, profileJson, type Profile } from './profile.ts'

const numeric = profileOf({ name: 'age', cells: [3, 1, null, 2, 2] })
const categorical = profileOf({ name: 'city', cells: ['Rome', 'Oslo', 'Rome', null] })
const profile: Profile = { rows: 5, features: [numeric, categorical] }

describe('a profile', () => {
  test('tells of numbers what they are', () => {
    expect(numeric).toEqual({
      kind: 'numeric',
      name: 'age',
      count: 4,
      missing: 1,
      distinct: 3,
      mean: 2,
      std: Math.sqrt(0.5),
      values: [1, 2, 3],
      counts: [1, 2, 1],
    })
  })

  test('tells of categories how often they are, the most frequent first', () => {
    expect(categorical).toMatchObject({ kind: 'categorical', count: 3, missing: 1, other: 0 })
    expect(JSON.stringify(categorical)).toContain('"categories":{"Rome":2,"Oslo":1}')
  })

  test('is bounded, however large the sample', () => {
    const cells = Array.from({ length: 50_000 }, (_, index) => Math.sin(index))
    const large = profileOf({ name: 'x', cells })
    expect(large.kind === 'numeric' && large.values.length).toBe(1000)
    expect(large.kind === 'numeric' && large.counts.reduce((sum, count) => sum + count, 0)).toBeCloseTo(50_000, 6)
    const many = profileOf({ name: 'c', cells: cells.map((cell) => `category ${cell}`) })
    expect(many.kind === 'categorical' && [Object.keys(many.categories).length, many.other]).toEqual([1000, 49_000])
  })

  test('is the same after writing and reading, whatever the columns hold', () => {
    const column = (cell: fc.Arbitrary<Cell>) => fc.array(cell, { minLength: 1, maxLength: 40 })
    const number = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e100, max: 1e100 })
    fc.assert(
      fc.property(fc.oneof(column(number), column(fc.string()), column(fc.boolean())), (cells) => {
        const written: Profile = { rows: cells.length, features: [profileOf({ name: 'x', cells })] }
        expect(JSON.stringify(parseProfile(profileJson(written)))).toBe(JSON.stringify(written))
      }),
    )
  })

  const [age, city] = profile.features
  test.each<[string, object | string, string]>([
    ['no JSON', '{', 'The profile is not JSON'],
    ['another file', { kind: 'x' }, 'kind must be "penstock-profile"'],
    ['another version', { schemaVersion: 2 }, 'schemaVersion must be 1, got 2'],
    ['no features', { features: [] }, 'features must be an array of 1 to 256'],
    ['too many features', { features: Array(257).fill(age) }, 'features must be an array of 1 to 256'],
    ['a feature twice', { features: [age, city, age] }, 'features[2].name "age" is there twice'],
    ['a name that is none', { features: [{ ...age, name: 7 }] }, 'features[0].name must be a string'],
    ['an unknown kind', { features: [age, { ...city, kind: 'text' }] }, 'features[1].kind must be'],
    ['text among values', { features: [{ ...age, values: [1, 'x', 3] }] }, 'features[0].values[1] must be a finite'],
    ['values out of order', { features: [{ ...age, values: [1, 3, 2] }] }, 'features[0].values[2] must be greater'],
    ['counts that are short', { features: [{ ...age, counts: [1] }] }, 'features[0].counts must have'],
    ['a count below 0', { features: [{ ...city, categories: { Rome: -1 } }] }, 'features[0].categories.Rome must be'],
    ['no values', { features: [{ ...age, count: 0 }] }, 'features[0].count must be at least 1'],
  ])('with %s is refused by the name of the field', (_, change, message) => {
    const text =
      typeof change === 'string'
        ? change
        : JSON.stringify({ ...(JSON.parse(profileJson(profile)) as object), ...change })
    expect(() => parseProfile(text)).toThrow(message)
  })
})
