import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Answers, Evidence } from '../../../protocol/evidence.ts'
import { comparisonOf, NO_ANSWERS, sumAnswers, tally } from './samples.ts'
import type { DepartedTotals, Reading, SeenPod } from './samples.ts'

const REVISIONS = ['fraud-old', 'fraud-new']

function evidence(instance: string, counts: { ok?: number; error?: number }, planId = 7): Evidence {
  const answers = { 'fraud-new': { ...NO_ANSWERS, ...counts } }
  const process = { revision: 'fraud-old', version: '1', sha256: '', ready: true, breaker: 'closed' as const }
  return { instance, ...process, planId, directRequests: 0, relayedIn: 0, answers }
}

const pod = (uid: string, said?: Evidence): SeenPod => ({ uid, name: `pod-${uid}`, ...(said && { evidence: said }) })
const look = (pods: SeenPod[], previous: readonly Reading[] = [], departed?: DepartedTotals) =>
  tally({ planId: 7, revisions: REVISIONS, previous, pods, ...(departed && { departed }) })
const okOf = (seen: { answers: Readonly<Record<string, Answers>> }) => seen.answers['fraud-new']?.ok

describe('tally', () => {
  test('sums over pods and names every revision, even one without answers', () => {
    const seen = look([pod('a', evidence('i1', { ok: 3, error: 1 })), pod('b', evidence('i2', { ok: 4 }))])
    expect(seen.answers).toEqual({ 'fraud-old': NO_ANSWERS, 'fraud-new': { ...NO_ANSWERS, ok: 7, error: 1 } })
    expect(seen.unread).toEqual([])
  })

  test('keeps what a pod said before it fell silent, and names it', () => {
    const before = look([pod('a', evidence('i1', { ok: 3 })), pod('b', evidence('i2', { ok: 4 }))])
    const after = look([pod('a', evidence('i1', { ok: 5 })), pod('b')], before.readings, before.departed)
    expect(okOf(after)).toBe(9)
    expect(after.unread).toEqual(['pod-b'])
    expect(after.departed.instances).toEqual([])
  })

  test('keeps what a pod said that is gone, through a restart of the operator', () => {
    const before = look([pod('a', evidence('i1', { ok: 3 })), pod('b', evidence('i2', { ok: 4 }))])
    const gone = look([pod('a', evidence('i1', { ok: 3 }))], before.readings, before.departed)
    expect(okOf(gone)).toBe(7)
    const restarted = look([pod('a', evidence('i1', { ok: 6 }))], [], gone.departed)
    expect(okOf(restarted)).toBe(10)
  })

  test('adds the new counters of a restarted process to the old ones', () => {
    const before = look([pod('a', evidence('i1', { ok: 30 }))])
    const after = look([pod('a', evidence('i2', { ok: 2 }))], before.readings, before.departed)
    expect(okOf(after)).toBe(32)
  })

  test('counts a departure once, whether the status write that holds it failed or was repeated', () => {
    const before = look([pod('a', evidence('i1', { ok: 3 }))])
    const written = look([], before.readings, before.departed)
    expect(okOf(look([], written.readings, before.departed))).toBe(3)
    expect(okOf(look([], before.readings, written.departed))).toBe(3)
    const settled = look([], written.readings, written.departed)
    expect(okOf(settled)).toBe(3)
    expect(settled.readings).toEqual([])
  })

  test('leaves out other plans and other revisions', () => {
    const old = evidence('i1', { ok: 100 }, 6)
    const before = look([pod('a', old), pod('b', evidence('i2', { ok: 1 }))])
    expect(okOf(before)).toBe(1)
    const ofPlan6: DepartedTotals = { planId: 6, answers: { 'fraud-new': { ...NO_ANSWERS, ok: 50 } }, instances: ['x'] }
    const after = look([pod('c', { ...old, answers: { stranger: { ...NO_ANSWERS, ok: 9 } }, planId: 7 })], [], ofPlan6)
    expect(after.answers).toEqual({ 'fraud-old': NO_ANSWERS, 'fraud-new': NO_ANSWERS })
    expect(after.departed).toEqual({ planId: 7, answers: expect.anything(), instances: [] })
  })

  test('stays bounded in status, yet counts the departure of very many at once only once', () => {
    const many = Array.from({ length: 200 }, (_, i) => pod(`u${i}`, evidence(`i${i}`, { ok: 1 })))
    const before = look(many)
    const gone = look([], before.readings, before.departed)
    expect(okOf(gone)).toBe(200)
    const later = look([pod('z', evidence('z1', { ok: 1 }))], gone.readings, gone.departed)
    expect(okOf(later)).toBe(201)
    expect(later.departed.instances).toHaveLength(64)
  })

  test('loses nothing that was read and counts nothing twice, whatever pods do', () => {
    type Event = { kind: 'serve' | 'restart' | 'remove' | 'add' | 'silence' | 'loseWrite'; at: number }
    const events = fc.array(
      fc.record<Event>({
        kind: fc.constantFrom('serve', 'restart', 'remove', 'add', 'silence', 'loseWrite'),
        at: fc.nat({ max: 20 }),
      }),
      { maxLength: 60 },
    )
    fc.assert(
      fc.property(events, (script) => {
        let born = 0
        const living = new Map<string, { instance: string; ok: number }>()
        const lastRead = new Map<string, number>()
        let readings: readonly Reading[] = []
        let departed: DepartedTotals | undefined
        for (const { kind, at } of script) {
          const [uid, process] = [...living][at % Math.max(living.size, 1)] ?? []
          if (kind === 'add' || uid === undefined || process === undefined)
            living.set(`u${++born}`, { instance: `i${born}`, ok: 0 })
          else if (kind === 'serve') process.ok += at
          else if (kind === 'restart') living.set(uid, { instance: `i${++born}`, ok: 1 })
          else if (kind === 'remove') living.delete(uid)
          const pods = [...living].map(([name, { instance, ok }]) => {
            if (kind === 'silence' && name === uid) return pod(name)
            lastRead.set(instance, ok)
            return pod(name, evidence(instance, { ok }))
          })
          const seen = look(pods, readings, departed)
          expect(okOf(seen)).toBe([...lastRead.values()].reduce((sum, ok) => sum + ok, 0))
          readings = seen.readings
          if (kind !== 'loseWrite') departed = seen.departed
        }
      }),
      { numRuns: 300 },
    )
  })
})

describe('sumAnswers', () => {
  test('adds counters and histograms and keeps the five commonest errors', () => {
    const part = (name: string, count: number): Answers => ({
      ...{ ok: 1, error: count, rejected: 2, foreign: 3, skipped: 4, latency: { 5: 1, 9: count } },
      errorSamples: [
        { message: name, count },
        { message: 'refused', count: 1 },
      ],
    })
    const sum = sumAnswers(['a', 'b', 'c', 'd', 'e', 'f'].map((name, index) => part(name, index + 1)))
    expect(sum).toMatchObject({ ok: 6, error: 21, rejected: 12, foreign: 18, skipped: 24, latency: { 5: 6, 9: 21 } })
    expect(sum.errorSamples.map(({ message, count }) => `${message} ${count}`)).toEqual([
      'f 6',
      'refused 6',
      'e 5',
      'd 4',
      'c 3',
    ])
  })
})

describe('comparisonOf', () => {
  const trialsOf = (answers: Answers) => answers.ok
  const answered = (ok: number): Answers => ({ ...NO_ANSWERS, ok })
  const samples = { stable: answered(5), candidate: NO_ANSWERS }

  test('is stable under this plan, continued from earlier plans where they are given', () => {
    expect(comparisonOf(samples, trialsOf)).toEqual({ stable: answered(5), baseline: 'Stable' })
    const continued = comparisonOf({ ...samples, earlierStable: answered(10) }, trialsOf)
    expect(continued).toEqual({ stable: answered(15), baseline: 'EarlierSteps' })
  })

  test('is nothing when stable answered nothing that counts', () => {
    expect(comparisonOf({ ...samples, stable: NO_ANSWERS, earlierStable: NO_ANSWERS }, trialsOf).baseline).toBe('None')
  })
})
