import { describe, expect, test } from '@jest/globals'
import { Breaker, PROBE_INTERVAL_MS } from './breaker.ts'

function failing(times: number, now = 0): Breaker {
  const breaker = new Breaker()
  for (let time = 0; time < times; time += 1) breaker.failed(now)
  return breaker
}

describe('a circuit breaker', () => {
  test('opens after five failures in a row, not before', () => {
    expect(failing(4).ask(0)).toBe('send')
    const breaker = failing(5)
    expect(breaker.state).toBe('open')
    expect(breaker.ask(1)).toBe('skip')
  })

  test('opens sooner when a failure cost more', () => {
    const breaker = failing(1)
    breaker.failed(0, 3)
    expect(breaker.state).toBe('closed')
    breaker.failed(0)
    expect(breaker.state).toBe('open')
  })

  test('forgets failures that an answer interrupts', () => {
    const breaker = failing(4)
    breaker.answered()
    for (let time = 0; time < 4; time += 1) breaker.failed(0)
    expect(breaker.ask(0)).toBe('send')
  })

  test('opens when half of the last twenty failed', () => {
    const breaker = new Breaker()
    for (let pair = 0; pair < 9; pair += 1) {
      breaker.answered()
      breaker.failed(0)
    }
    breaker.answered()
    expect(breaker.state).toBe('closed')
    breaker.failed(0)
    expect(breaker.state).toBe('open')
  })

  test('probes with one request each interval while it is open', () => {
    const breaker = failing(5, 1000)
    const asked = [1000, 1000 + PROBE_INTERVAL_MS - 1, 1000 + PROBE_INTERVAL_MS, 1001 + PROBE_INTERVAL_MS]
    expect(asked.map((now) => breaker.ask(now))).toEqual(['skip', 'skip', 'skip-and-probe', 'skip'])
    expect(breaker.state).toBe('half-open')
  })

  test('closes with the first answer, and starts afresh', () => {
    const breaker = failing(5)
    breaker.ask(PROBE_INTERVAL_MS)
    breaker.answered()
    expect(breaker.state).toBe('closed')
    for (let time = 0; time < 4; time += 1) breaker.failed(0)
    expect(breaker.ask(0)).toBe('send')
  })

  test('stays open when the probe fails, and probes again an interval after it', () => {
    const breaker = failing(5)
    breaker.ask(PROBE_INTERVAL_MS)
    breaker.failed(PROBE_INTERVAL_MS + 10)
    expect(breaker.state).toBe('open')
    expect(breaker.ask(2 * PROBE_INTERVAL_MS - 1)).toBe('skip')
    expect(breaker.ask(2 * PROBE_INTERVAL_MS)).toBe('skip-and-probe')
  })

  test('probes again when a probe never comes back', () => {
    const breaker = failing(5)
    expect([1, 2, 3].map((time) => breaker.ask(time * PROBE_INTERVAL_MS))).toEqual(Array(3).fill('skip-and-probe'))
  })
})
