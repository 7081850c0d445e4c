import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from '@jest/globals'
import { Hold } from './hold.ts'

const MIB = 1024 * 1024

describe('a refusal that is held', () => {
  test('waits no longer than it may', async () => {
    const hold = new Hold(MIB)
    const order: string[] = []
    await Promise.all([
      hold.wait(Infinity, 0).then(() => order.push('as long as any')),
      hold.wait(10, 0).then(() => order.push('a quarter of its time')),
      hold.wait(-5, 0).then(() => order.push('no time left')),
    ])
    expect(order).toEqual(['no time left', 'a quarter of its time', 'as long as any'])
  })

  test('does not wait where those who do hold much memory, until they are gone', async () => {
    const hold = new Hold(8 * MIB)
    const order: string[] = []
    await Promise.all([
      hold.wait(Infinity, 5 * MIB).then(() => order.push('first')),
      hold.wait(Infinity, 5 * MIB).then(() => order.push('second')),
    ])
    await Promise.all([
      hold.wait(Infinity, 5 * MIB).then(() => order.push('third')),
      delay(1).then(() => order.push('a while')),
    ])
    expect(order).toEqual(['second', 'first', 'a while', 'third'])
  })
})
