import { describe, expect, test } from '@jest/globals'
import { matches, parseSelector } from './selector.ts'

describe('a label selector', () => {
  const labels = { app: 'web', tier: 'front' }
  const cases: [string, Parameters<typeof matches>[0], boolean][] = [
    ['that is absent matches nothing', undefined, false],
    ['that is empty matches everything', {}, true],
    ['matches equal labels', { matchLabels: { app: 'web' } }, true],
    ['refuses another value', { matchLabels: { app: 'db' } }, false],
    ['knows In', { matchExpressions: [{ key: 'tier', operator: 'In', values: ['front', 'back'] }] }, true],
    [
      'knows NotIn, which absent labels satisfy',
      { matchExpressions: [{ key: 'zone', operator: 'NotIn', values: ['a'] }] },
      true,
    ],
    ['knows Exists', { matchExpressions: [{ key: 'zone', operator: 'Exists' }] }, false],
    ['knows DoesNotExist', { matchExpressions: [{ key: 'zone', operator: 'DoesNotExist' }] }, true],
    [
      'needs every requirement',
      { matchLabels: { app: 'web' }, matchExpressions: [{ key: 'tier', operator: 'DoesNotExist' }] },
      false,
    ],
  ]
  test.each(cases)('%s', (_name, selector, expected) => {
    expect(matches(selector, labels)).toBe(expected)
  })
})

describe('the text form of a selector', () => {
  const labels = { app: 'web', tier: 'front' }
  test.each([
    ['app=web', true],
    ['app==web,tier!=back', true],
    ['app!=web', false],
    ['tier in (back, front)', true],
    ['tier notin (back,front),app=web', false],
    ['app,!zone', true],
    ['', true],
  ])('%p matches: %p', (text, expected) => {
    expect(matches(parseSelector(text), labels)).toBe(expected)
  })

  test('that cannot be read is no selector', () => {
    expect(parseSelector('app=(web')).toBeUndefined()
  })
})
