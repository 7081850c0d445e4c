import { expect, test } from '@jest/globals'
import { Patience } from './patience.ts'

test('lasts as long as something new comes', () => {
  const patience = new Patience(100, 10_000, 0)
  expect(patience.leftMs(40)).toBe(60)
  patience.reached(5, 90)
  expect(patience.leftMs(90)).toBe(100)
  expect(patience.leftMs(500)).toBe(0)
})

test('lasts while a file that had to be begun again comes, however long that takes', () => {
  const patience = new Patience(100, 10_000, 0)
  patience.reached(50, 10)
  patience.broke()
  for (let now = 60; now <= 500; now += 60) patience.reached(now / 60, now)
  expect(patience.leftMs(500)).toBeGreaterThan(0)
})

test('ends when the same bytes came too often', () => {
  const patience = new Patience(100, 10_000, 0)
  for (const [tries, left] of [100, 100, 100, 0].entries()) {
    patience.reached(50, 10 * tries)
    patience.broke()
    expect(patience.leftMs(10 * tries)).toBe(left)
  }
})

test('begins anew when a source gets farther, and does not count what brought nothing', () => {
  const patience = new Patience(100, 10_000, 0)
  for (const sizeBytes of [50, 50, 50, 51, 51, 51]) {
    patience.reached(sizeBytes, 0)
    patience.broke()
    patience.broke()
  }
  expect(patience.leftMs(0)).toBe(100)
})

test('ends in any case', () => {
  const patience = new Patience(100, 250, 0)
  for (let now = 0; now <= 200; now += 50) patience.reached(now + 1, now)
  expect(patience.leftMs(200)).toBe(50)
})

test('knows how far it came', () => {
  const patience = new Patience(100, 250, 0)
  expect(patience.reachedBytes).toBe(0)
  patience.reached(1, 0)
  expect(patience.reachedBytes).toBe(1)
})
