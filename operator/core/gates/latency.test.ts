import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Answers } from '../../../protocol/evidence.ts'
import { latencyBucket } from '../../../protocol/evidence.ts'
import { judgeLatency } from './latency.ts'
import { NO_ANSWERS } from './samples.ts'
import type { LatencyEvidence, LatencyGate, Verdict } from './verdict.ts'

const TERMS = { alpha: 0.01, minSamples: 200 }

/** `{12: 500}`: 500 requests of 12 ms. */
function took(countsByMs: Readonly<Record<number, number>>): Answers {
  const latency = Object.fromEntries(
    Object.entries(countsByMs).map(([ms, count]) => [latencyBucket(Number(ms) / 1000), count]),
  )
  return { ...NO_ANSWERS, ok: Object.values(countsByMs).reduce((sum, count) => sum + count, 0), latency }
}

interface Case {
  stable: Answers
  candidate: Answers
  earlierStable?: Answers
  limits?: Partial<LatencyGate['latency']>
}

function judge({ limits, ...samples }: Case) {
  const gate = { name: 'latency', latency: { quantile: 0.9, maxRatio: 1.5, ...limits } }
  const report = judgeLatency(gate, samples, TERMS)
  return { ...report, evidence: report.evidence as LatencyEvidence }
}

describe('judgeLatency', () => {
  test.each<[string, Case, Verdict, RegExp]>([
    [
      'fails a candidate that is provably slower',
      { stable: took({ 10: 2000 }), candidate: took({ 40: 300 }) },
      'Fail',
      /^candidate's p90 is 4\d\.?\d* ms over 300 requests, stable's 10\.\d ms over 2000 requests: it is at least [\d.]+ times as slow, allowed is 1\.5 times$/,
    ],
    [
      'passes one as fast as stable',
      { stable: took({ 10: 2000 }), candidate: took({ 10: 300 }) },
      'Pass',
      /at most 1\.1 times/,
    ],
    [
      'judges the tail, not the bulk',
      { stable: took({ 10: 2000 }), candidate: took({ 5: 1200, 80: 800 }) },
      'Fail',
      /p90/,
    ],
    [
      'waits for the minimum',
      { stable: took({ 10: 2000 }), candidate: took({ 10: 150 }) },
      'Inconclusive',
      /200 requests are the minimum: about 50 more requests needed$/,
    ],
    [
      'waits while the quantile is not bounded, and says for how long',
      { stable: took({ 10: 2000 }), candidate: took({ 10: 300 }), limits: { quantile: 0.99 } },
      'Inconclusive',
      /at least [\d.]+ times as slow, allowed is 1\.5 times; about \d+ more requests to the candidate would decide/,
    ],
    [
      'says so when the ratio is at the limit',
      { stable: took({ 10: 20_000 }), candidate: took({ 10: 20_000 }), limits: { maxRatio: 1 } },
      'Inconclusive',
      /a million more requests like these would not decide, as the ratio is within a bucket/,
    ],
    [
      'ignores a ratio of very fast answers',
      { stable: took({ 0.1: 2000 }), candidate: took({ 0.9: 300 }), limits: { ignoreBelowMs: 1 } },
      'Pass',
      /at most 0\.\d+ ms, and up to 1 ms no ratio is asked for$/,
    ],
    [
      'does not ignore what may be slower than that',
      { stable: took({ 0.1: 2000 }), candidate: took({ 5: 300 }), limits: { ignoreBelowMs: 1 } },
      'Fail',
      /at least/,
    ],
    [
      'does not judge without stable',
      { stable: NO_ANSWERS, candidate: took({ 10: 3000 }) },
      'Inconclusive',
      /without requests that stable answered there is no ratio to judge$/,
    ],
    [
      'continues the evidence of earlier steps at full weight',
      { stable: NO_ANSWERS, earlierStable: took({ 10: 3000 }), candidate: took({ 10: 3000 }) },
      'Pass',
      /stable's \(with earlier steps\) 10\.\d ms over 3000 requests/,
    ],
    [
      'waits for a candidate that answered nothing',
      { stable: took({ 10: 3000 }), candidate: NO_ANSWERS },
      'Inconclusive',
      /^candidate's p90 is not measured yet.*about 200 more requests to the candidate/,
    ],
    [
      'fails a candidate whose quantile is beyond the scale',
      { stable: took({ 10: 3000 }), candidate: took({ 100_000: 300 }) },
      'Fail',
      /candidate's p90 is beyond the scale/,
    ],
  ])('%s', (_, seen, verdict, message) => {
    const report = judge(seen)
    expect(report.message).toMatch(message)
    expect(report.verdict).toBe(verdict)
  })

  test('gives evidence that explains itself, with null for what is unbounded', () => {
    const seen = { stable: took({ 10: 2000 }), candidate: took({ 10: 30 }), limits: { ignoreBelowMs: 2 } }
    expect(judge(seen).evidence).toEqual({
      kind: 'latency',
      quantile: 0.9,
      candidate: { n: 30, seconds: 0.0104, lower: 0.009453, upper: null },
      stable: { n: 2000, seconds: 0.0104, lower: 0.009453, upper: 0.0104 },
      ratio: { lower: 0.9091, upper: null },
      ...{ maxRatio: 1.5, ignoreBelowMs: 2, minSamples: 200, alpha: 0.01, baseline: 'Stable' },
      moreSamples: 170,
    })
  })

  test('a limit of one bucket passes an equal candidate in whichever bucket both are', () => {
    const verdicts = [1, 2, 3, 5, 8, 13, 21, 34, 55, 89].map((ms) => {
      const alike = took({ [ms]: 2000 })
      return judge({ stable: alike, candidate: alike, limits: { maxRatio: 1.1 } }).verdict
    })
    expect(new Set(verdicts)).toEqual(new Set(['Pass']))
  })

  const spreads = fc.dictionary(fc.constantFrom('1', '2', '5', '10', '30', '100'), fc.integer({ min: 1, max: 3000 }), {
    minKeys: 1,
  })
  const cases = fc.record({ stable: spreads.map(took), candidate: spreads.map(took) })

  test('more of the same never takes back a verdict', () => {
    fc.assert(
      fc.property(cases, fc.integer({ min: 2, max: 10 }), ({ stable, candidate }, factor) => {
        const before = judge({ stable, candidate }).verdict
        fc.pre(before !== 'Inconclusive')
        const grown = (seen: Answers): Answers => ({
          ...seen,
          latency: Object.fromEntries(Object.entries(seen.latency).map(([index, count]) => [index, count * factor])),
        })
        expect(judge({ stable: grown(stable), candidate: grown(candidate) }).verdict).toBe(before)
      }),
    )
  })

  test('a slower candidate never turns Fail into Pass', () => {
    fc.assert(
      fc.property(cases, fc.integer({ min: 1, max: 20 }), ({ stable, candidate }, shift) => {
        const slower = Object.entries(candidate.latency).map(([index, count]) => [Number(index) + shift, count])
        const after = judge({ stable, candidate: { ...candidate, latency: Object.fromEntries(slower) } }).verdict
        const before = judge({ stable, candidate }).verdict
        if (before === 'Fail') expect(after).toBe('Fail')
        if (after === 'Pass') expect(before).toBe('Pass')
      }),
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
