import { expect, test } from '@jest/globals'
import { Patience } from './patience.ts'

test('lasts as long as something new comes', () => {
  const patience = new Patience(100, 10_000, 0)
  expect(patience.leftMs(40)).toBe(60)
  patience.reached(5, 90)
  expect(patience.leftMs(90)).toBe(100)
  expect(patience.leftMs(500)).toBe(0)
})

test('is not renewed by what came before', () => {
  const patience = new Patience(100, 10_000, 0)
  patience.reached(50, 10)
  patience.reached(50, 90)
  patience.reached(20, 95)
  expect(patience.leftMs(100)).toBe(10)
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
