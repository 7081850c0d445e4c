import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Prediction } from '../model/rows.ts'
import { keptLabel } from './kept-label.ts'
import { RecentAnswers } from './recent-answers.ts'

function answers(changes: Partial<ConstructorParameters<typeof RecentAnswers>[0]> = {}): RecentAnswers {
  return new RecentAnswers({ revision: 'fraud-1', instance: 'abc', maxAnswers: 8, maxNumbers: 1000, ...changes })
}

function rows(count: number): Prediction[] {
  return Array.from({ length: count }, (_, row) => ({ prediction: row, probability: null }))
}

const probability = fc.double({ min: 0, max: 1, noNaN: true })
const predictions: fc.Arbitrary<Prediction[]> = fc
  .record({ classes: fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }), text: fc.boolean() })
  .chain(({ classes, text }) =>
    fc.array(
      fc.record({
        prediction: text ? fc.string() : fc.double({ noNaN: true }),
        probability: classes === undefined ? fc.constant(null) : probability,
        ...(classes !== undefined && {
          probabilities: fc.array(probability, { minLength: classes, maxLength: classes }),
        }),
      }),
      { minLength: 1, maxLength: 4 },
    ),
  )

describe('recent answers', () => {
  test('of long texts are kept in little memory, and known from each other', () => {
    const recent = answers({ maxAnswers: 500, maxNumbers: 2000 })
    const label = (index: number) => `${'long '.repeat(200_000)}${index}`
    const before = process.memoryUsage()
    let kept: number | string | undefined
    for (let index = 0; index < 600; index += 1) {
      const id = recent.newId()
      // As models give them: one whole string each, of a megabyte.
      recent.keep(id, [{ prediction: Buffer.from(label(index)).toString('latin1'), probability: null }])
      kept = recent.find(id.text)?.predictions[0]?.prediction
    }
    expect([kept, kept]).toEqual([keptLabel(label(599)), keptLabel(kept ?? '')])
    expect(kept).not.toBe(keptLabel(label(598)))
    const { heapUsed, external } = process.memoryUsage()
    expect(heapUsed + external - before.heapUsed - before.external).toBeLessThan(300 * 1024 * 1024)
  })

  test('are found by the ids that they were given, until newer ones take their place', () => {
    const recent = answers()
    const ids = Array.from({ length: 20 }, () => {
      const id = recent.newId()
      recent.keep(id, rows(1))
      return id.text
    })
    expect(new Set(ids).size).toBe(20)
    expect(ids.map((id) => recent.find(id) !== undefined)).toEqual(ids.map((_, index) => index >= 12))
  })

  test('are found by the id that the client chose; the latest, when it chose it twice', () => {
    const recent = answers()
    for (const count of [1, 2]) recent.keep(recent.newId('trace-7'), rows(count))
    expect(recent.find('trace-7')?.predictions).toHaveLength(2)
  })

  test('tell an id of theirs from one that a client chose in its likeness', () => {
    const recent = answers()
    const [own, later] = [recent.newId(), recent.newId()]
    recent.keep(own, rows(1))
    const alike = recent.newId(`${own.text}0`)
    recent.keep(alike, rows(2))
    const same = recent.newId(later.text)
    recent.keep(same, rows(3))
    expect([own, alike, same].map(({ text }) => recent.find(text)?.predictions.length)).toEqual([1, 2, 3])
    recent.markLabelled(alike.text)
    expect(recent.find(own.text)?.isLabelled).toBe(false)
  })

  test.each(['', 'two words', 'a\nb', 'x'.repeat(129), 'ü'])('do not take %p for an id', (wished) => {
    expect(answers().newId(wished).text).not.toBe(wished)
  })

  test('know the ids of their revision from those of others', () => {
    const otherPod = answers({ instance: 'xyz' }).newId().text
    const otherRevision = answers({ revision: 'fraud-2' }).newId().text
    expect([otherPod, otherRevision, 'trace-7'].map((id) => answers().isOfThisRevision(id))).toEqual([
      true,
      false,
      false,
    ])
    expect([otherPod, otherRevision].map((id) => answers().find(id))).toEqual([undefined, undefined])
  })

  test('are found as they were given, among others', () => {
    fc.assert(
      fc.property(fc.array(predictions, { minLength: 1, maxLength: 40 }), (given) => {
        const recent = answers({ maxNumbers: 64 })
        const kept = given.map((each) => {
          const id = recent.newId()
          recent.keep(id, each)
          return { id, each }
        })
        const found = kept.filter(({ id }) => recent.find(id.text) !== undefined)
        expect(found).toContain(kept.at(-1))
        for (const { id, each } of found) expect(recent.find(id.text)).toEqual({ predictions: each, isLabelled: false })
      }),
    )
  })

  test('remember that labels came for one, until another has its place', () => {
    const recent = answers()
    for (let index = 0; index < 20; index += 1) {
      const id = recent.newId()
      recent.keep(id, rows(2))
      expect(recent.find(id.text)?.isLabelled).toBe(false)
      recent.markLabelled(id.text)
      expect(recent.find(id.text)?.isLabelled).toBe(true)
    }
  })

  test('never hold more than they may, whatever ends in which order; the latest is always there', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ size: fc.integer({ min: 1, max: 40 }), late: fc.nat(12), own: fc.boolean() }), {
          minLength: 1,
          maxLength: 60,
        }),
        (requests) => {
          const recent = answers({ maxNumbers: 80 })
          const started = requests.map(({ size, late, own }, index) => ({
            id: recent.newId(own ? undefined : `client-${index}`),
            size,
            endsAt: index + late,
          }))
          const inOrder = [...started].sort((left, right) => left.endsAt - right.endsAt)
          for (const { id, size } of inOrder) {
            recent.keep(id, rows(size))
            // Not one that took so long that its place belongs to a newer one.
            const newer = inOrder
              .slice(
                0,
                inOrder.findIndex((each) => each.id === id),
              )
              .map((each) => each.id.sequence)
            if (Math.max(-1, ...newer) - id.sequence < 8) expect(recent.find(id.text)).toBeDefined()
          }
          const held = started.filter(({ id }) => recent.find(id.text) !== undefined)
          expect(held.length).toBeLessThanOrEqual(8)
          expect(held.reduce((sum, { size }) => sum + 2 * size, 0)).toBeLessThanOrEqual(80)
          for (const { id, size } of held) expect(recent.find(id.text)?.predictions).toHaveLength(size)
        },
      ),
    )
  })
})
