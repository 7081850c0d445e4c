import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Answers } from '../../../protocol/evidence.ts'
import { judgeErrorRate } from './error-rate.ts'
import { NO_ANSWERS } from './samples.ts'
import type { ErrorRateEvidence, Verdict } from './verdict.ts'

const TERMS = { alpha: 0.01, minSamples: 200 }
const answers = (ok: number, error = 0, skipped = 0): Answers => ({ ...NO_ANSWERS, ok, error, skipped })

interface Case {
  stable: Answers
  candidate: Answers
  earlierStable?: Answers
  maxIncrease?: number
}

function judge({ maxIncrease = 0.05, ...samples }: Case) {
  const report = judgeErrorRate({ name: 'errors', errorRate: { maxIncrease } }, samples, TERMS)
  return { ...report, evidence: report.evidence as ErrorRateEvidence }
}

describe('judgeErrorRate', () => {
  test.each<[string, Case, Verdict, RegExp]>([
    [
      'fails a candidate that provably fails more',
      { stable: answers(1930), candidate: answers(183, 31), maxIncrease: 0.01 },
      'Fail',
      /^candidate failed 31 of 214 requests \(14\.5 %\), stable 0 of 1930 \(0 %\): the increase is at least 6\.\d+ points, allowed is 1$/,
    ],
    ['needs no minimum to fail', { stable: answers(500), candidate: answers(0, 6) }, 'Fail', /at least [\d.]+ points/],
    [
      'passes a clean candidate',
      { stable: answers(2000), candidate: answers(300) },
      'Pass',
      /at most [\d.]+ points, allowed is 5$/,
    ],
    [
      'passes a candidate that fails as often as stable always did',
      { stable: answers(9500, 500), candidate: answers(9500, 500) },
      'Pass',
      /at most/,
    ],
    [
      'does not pass below the minimum, and says how much is missing',
      { stable: answers(2000), candidate: answers(190) },
      'Inconclusive',
      /200 requests are the minimum: about 10 more requests needed$/,
    ],
    [
      'waits while both outcomes are possible, and says for how long',
      { stable: answers(500), candidate: answers(99, 1) },
      'Inconclusive',
      /lies between -?[\d.]+ and [\d.]+ points, allowed is 5; about \d+ more requests to the candidate would decide if this goes on$/,
    ],
    [
      'says so when waiting will not help',
      { stable: answers(1000), candidate: answers(95, 5) },
      'Inconclusive',
      /a million more requests like these would not decide, as the candidate is at the very limit$/,
    ],
    [
      'waits for a candidate that was not asked yet',
      { stable: answers(1000), candidate: NO_ANSWERS },
      'Inconclusive',
      /^candidate answered nothing yet, .*about \d+ more requests to the candidate/,
    ],
    [
      'holds the candidate to zero errors when stable answered nothing: passes',
      { stable: NO_ANSWERS, candidate: answers(1000, 1) },
      'Pass',
      /stable answered none to compare with/,
    ],
    [
      'holds the candidate to zero errors when stable answered nothing: fails',
      { stable: NO_ANSWERS, candidate: answers(700, 300) },
      'Fail',
      /stable answered none to compare with/,
    ],
    [
      'continues the evidence of earlier steps at full weight',
      { stable: NO_ANSWERS, earlierStable: answers(9000, 1000), candidate: answers(9000, 1000) },
      'Pass',
      /stable \(with earlier steps\) 1000 of 10000 \(10 %\)/,
    ],
    [
      'says why what it was asked does not count',
      { stable: answers(1000), candidate: { ...NO_ANSWERS, rejected: 7 } },
      'Inconclusive',
      /^candidate answered nothing that counts yet \(7 requests were bad, or stable was no quicker/,
    ],
    [
      'fails a dead candidate even while stable has no data to speak of',
      { stable: answers(2), candidate: answers(0, 3, 40) },
      'Fail',
      /was kept from 40 by the circuit breaker.*not answered a single one$/,
    ],
    [
      'fails a dead candidate that got no request at all',
      { stable: answers(100), candidate: answers(0, 0, 20) },
      'Fail',
      /^candidate answered nothing yet and was kept from 20 by the circuit breaker/,
    ],
    [
      'fails a candidate that died after a good start',
      { stable: answers(5000), candidate: answers(3000, 10, 1500) },
      'Fail',
      /kept/,
    ],
    [
      'does not pass while requests kept from the candidate could all have failed',
      { stable: answers(5000), candidate: answers(3000, 0, 200), maxIncrease: 0.01 },
      'Inconclusive',
      /too many were kept from it to pass/,
    ],
    [
      'forgives a short opening of the circuit breaker once enough is answered',
      { stable: answers(100_000), candidate: answers(100_000, 5, 500), maxIncrease: 0.01 },
      'Pass',
      /at most/,
    ],
  ])('%s', (_, seen, verdict, message) => {
    const report = judge(seen)
    expect(report.message).toMatch(message)
    expect(report.verdict).toBe(verdict)
  })

  test('gives evidence that explains itself, rounded to four digits', () => {
    expect(judge({ stable: answers(1930), candidate: answers(183, 31, 2), maxIncrease: 0.01 }).evidence).toEqual({
      kind: 'errorRate',
      candidate: { n: 214, k: 31, rate: 0.1449, lower: expect.any(Number), upper: expect.any(Number), skipped: 2 },
      stable: { n: 1930, k: 0, rate: 0, lower: 0, upper: expect.any(Number) },
      increase: { lower: expect.any(Number), upper: expect.any(Number) },
      maxIncrease: 0.01,
      minSamples: 200,
      alpha: 0.01,
      baseline: 'Stable',
    })
  })

  test('tells what failed, the commonest first', () => {
    const errorSamples = [
      { message: 'ECONNRESET', count: 20 },
      { message: '503 not loaded', count: 11 },
    ]
    const report = judge({ stable: answers(1930), candidate: { ...answers(183, 31), errorSamples }, maxIncrease: 0.01 })
    expect(report.message).toMatch(/; most often: ECONNRESET$/)
    expect(report.evidence).toMatchObject({ candidate: { errors: errorSamples } })
  })

  test('estimates the wait rightly: just that many more of the same decide, one fewer does not', () => {
    const { moreSamples = NaN } = judge({ stable: answers(9000), candidate: answers(50) }).evidence
    const after = (more: number) => {
      const scale = (50 + more) / 50
      return judge({ stable: answers(9000 * scale), candidate: answers(50 * scale) }).verdict
    }
    expect([after(moreSamples - 1), after(moreSamples)]).toEqual(['Inconclusive', 'Pass'])
  })

  test('takes no account of bad requests and foreign answers', () => {
    const noisy = { ...answers(300), rejected: 5000, foreign: 4000 }
    const quiet = judge({ stable: answers(2000), candidate: answers(300) })
    expect(judge({ stable: { ...answers(2000), rejected: 9 }, candidate: noisy })).toEqual(quiet)
  })
})

describe('laws of the error rate verdict', () => {
  const counts = fc.record({
    ok: fc.integer({ min: 0, max: 3000 }),
    error: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 1000 })),
    skipped: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2000 })),
  })
  const cases = fc.record({
    stable: counts.map(({ ok, error }) => answers(ok, error)),
    candidate: counts.map(({ ok, error, skipped }) => answers(ok, error, skipped)),
    maxIncrease: fc.constantFrom(0.001, 0.01, 0.05, 0.2, 0.6),
  })
  const numRuns = 500

  test('further failures of the candidate never turn Fail into Pass, nor its failures in place of answers', () => {
    fc.assert(
      fc.property(cases, fc.integer({ min: 1, max: 500 }), ({ candidate, ...rest }, more) => {
        const turned = Math.min(more, candidate.ok)
        const worse = [
          answers(candidate.ok, candidate.error + more, candidate.skipped),
          answers(candidate.ok - turned, candidate.error + turned, candidate.skipped),
        ].map((changed) => judge({ ...rest, candidate: changed }).verdict)
        const before = judge({ ...rest, candidate }).verdict
        if (before === 'Fail') expect(worse).not.toContain('Pass')
        if (worse.includes('Pass')) expect(before).not.toBe('Fail')
      }),
      { numRuns },
    )
  })

  test('answers in place of failures never turn Pass into Fail', () => {
    fc.assert(
      fc.property(cases, ({ candidate, ...rest }) => {
        fc.pre(judge({ ...rest, candidate }).verdict === 'Pass')
        const better = answers(candidate.ok + candidate.error, 0, candidate.skipped)
        expect(judge({ ...rest, candidate: better }).verdict).toBe('Pass')
      }),
      { numRuns: 200 },
    )
  })

  test('more of the same never takes back a verdict', () => {
    fc.assert(
      fc.property(cases, fc.integer({ min: 2, max: 30 }), ({ stable, candidate, maxIncrease }, factor) => {
        const before = judge({ stable, candidate, maxIncrease }).verdict
        fc.pre(before !== 'Inconclusive')
        const grown = ({ ok, error, skipped }: Answers) => answers(ok * factor, error * factor, skipped * factor)
        expect(judge({ stable: grown(stable), candidate: grown(candidate), maxIncrease }).verdict).toBe(before)
      }),
      { numRuns },
    )
  })

  test('a looser gate never fails what a stricter one passes', () => {
    const order: Record<Verdict, number> = { Fail: 0, Inconclusive: 1, Pass: 2 }
    fc.assert(
      fc.property(cases, ({ maxIncrease, ...samples }) => {
        const strict = judge({ ...samples, maxIncrease })
        const loose = judge({ ...samples, maxIncrease: maxIncrease * 1.5 })
        expect(order[loose.verdict]).toBeGreaterThanOrEqual(order[strict.verdict])
      }),
      { numRuns },
    )
  })

  test('a report is plain JSON', () => {
    fc.assert(
      fc.property(cases, (seen) => {
        const report = judge(seen)
        expect(JSON.parse(JSON.stringify(report))).toEqual(report)
      }),
    )
  })
})
