import { describe, expect, test } from '@jest/globals'
import type { Answers } from '../../../protocol/evidence.ts'
import { latencyBucket } from '../../../protocol/evidence.ts'
import { alphaPerGate, judgeGates } from './judge.ts'
import { NO_ANSWERS } from './samples.ts'
import { seededUniform } from './seeded.ts'
import type { GateSpec, Verdict } from './verdict.ts'
import { combine, gateReport } from './verdict.ts'

const ERRORS: GateSpec = { name: 'errors', errorRate: { maxIncrease: 0.05 } }
const LATENCY: GateSpec = { name: 'latency', latency: { quantile: 0.9, maxRatio: 1.5 } }
const POLICY = { minSamples: 100, steps: 3 }

function fast(ok: number, error = 0): Answers {
  return { ...NO_ANSWERS, ok, error, latency: ok === 0 ? {} : { [latencyBucket(0.01)]: ok } }
}

describe('judgeGates', () => {
  test('answers every gate in order', () => {
    const reports = judgeGates([LATENCY, ERRORS], { stable: fast(5000), candidate: fast(1000) }, POLICY)
    expect(reports.map(({ name, kind, verdict }) => `${name} ${kind} ${verdict}`)).toEqual([
      'latency latency Pass',
      'errors errorRate Pass',
    ])
  })

  test('passes nothing while pods are unread, and names them; what fails, fails', () => {
    const unread = ['p1', 'p2', 'p3', 'p4', 'p5']
    const [good] = judgeGates([ERRORS], { stable: fast(5000), candidate: fast(1000), unread }, POLICY)
    expect(good?.verdict).toBe('Inconclusive')
    expect(good?.message).toMatch(/does not pass while evidence is missing from p1, p2, p3 and 2 more$/)
    const [bad] = judgeGates([ERRORS], { stable: fast(5000), candidate: fast(500, 500), unread }, POLICY)
    expect(bad?.verdict).toBe('Fail')
  })

  test('splits the budget of false alarms over gates and steps', () => {
    expect(alphaPerGate(2, POLICY)).toBeCloseTo(0.05 / 6)
    expect(alphaPerGate(2, { ...POLICY, falseAlarmBudget: 0.12 })).toBeCloseTo(0.02)
    expect(alphaPerGate(0, { ...POLICY, steps: 0 })).toBe(0.05)
    const [report] = judgeGates([ERRORS, LATENCY], { stable: fast(10), candidate: fast(1) }, POLICY)
    expect(report?.evidence).toMatchObject({ alpha: 0.008333 })
  })
})

describe('combine', () => {
  const report = (verdict: Verdict) => gateReport('x', verdict, '', { kind: 'health', facts: {} })
  test.each<[Verdict[], Verdict]>([
    [[], 'Pass'],
    [['Pass', 'Pass'], 'Pass'],
    [['Pass', 'Inconclusive'], 'Inconclusive'],
    [['Inconclusive', 'Fail', 'Pass'], 'Fail'],
  ])('of %j is %s', (verdicts, combined) => {
    expect(combine(verdicts.map(report))).toBe(combined)
  })
})

describe('simulated rollouts', () => {
  interface Traffic {
    readonly stableRate: number
    readonly candidateRate: number
    readonly maxIncrease: number
    /** Share of the requests that the candidate gets. */
    readonly weight: number
    readonly candidateRequests: number
    /** Requests of the candidate between two looks. */
    readonly lookEvery: number
  }

  /** How one step ends that is judged again and again until a verdict falls, and after how many requests of the candidate. */
  function step(traffic: Traffic, uniform: () => number): { verdict: Verdict; after: number } {
    const counts = { stable: { ok: 0, error: 0 }, candidate: { ok: 0, error: 0 } }
    const gate: GateSpec = { name: 'errors', errorRate: { maxIncrease: traffic.maxIncrease } }
    for (let after = 0; after < traffic.candidateRequests;) {
      const asked = uniform() < traffic.weight ? 'candidate' : 'stable'
      const fails = uniform() < (asked === 'candidate' ? traffic.candidateRate : traffic.stableRate)
      counts[asked][fails ? 'error' : 'ok']++
      if (asked === 'stable') continue
      after++
      if (after % traffic.lookEvery !== 0) continue
      const samples = {
        stable: fast(counts.stable.ok, counts.stable.error),
        candidate: fast(counts.candidate.ok, counts.candidate.error),
      }
      // The share of one of two gates at one of three steps, without paying for the other gate here.
      const [report] = judgeGates([gate], samples, { minSamples: 100, steps: 6 })
      if (report !== undefined && report.verdict !== 'Inconclusive') return { verdict: report.verdict, after }
    }
    return { verdict: 'Inconclusive', after: traffic.candidateRequests }
  }

  function runs(traffic: Traffic, count: number): { verdict: Verdict; after: number }[] {
    const uniform = seededUniform(2026)
    return Array.from({ length: count }, () => step(traffic, uniform))
  }

  function median(numbers: number[]): number {
    return numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? NaN
  }

  test('a candidate that fails 15 % where 5 are allowed is failed, in half of the runs within 150 requests', () => {
    const atTenth = runs(
      { stableRate: 0, candidateRate: 0.15, maxIncrease: 0.05, weight: 0.1, candidateRequests: 600, lookEvery: 5 },
      60,
    )
    expect(atTenth.filter(({ verdict }) => verdict === 'Fail').length).toBeGreaterThanOrEqual(59)
    expect(median(atTenth.map(({ after }) => after))).toBeLessThanOrEqual(150)
  })

  test('a candidate that fails half of its requests is failed within 20', () => {
    const broken = runs(
      { stableRate: 0.001, candidateRate: 0.5, maxIncrease: 0.01, weight: 0.1, candidateRequests: 60, lookEvery: 1 },
      60,
    )
    expect(broken.every(({ verdict }) => verdict === 'Fail')).toBe(true)
    expect(median(broken.map(({ after }) => after))).toBeLessThanOrEqual(20)
  })

  test('a clean candidate passes an allowed increase of 5 points after 168 requests', () => {
    const clean = runs(
      { stableRate: 0, candidateRate: 0, maxIncrease: 0.05, weight: 0.25, candidateRequests: 300, lookEvery: 1 },
      5,
    )
    expect(new Set(clean.map(({ verdict, after }) => `${verdict} after ${after}`))).toEqual(new Set(['Pass after 168']))
  })

  test('a candidate that is as bad as is just allowed hardly ever fails, however often it is looked at', () => {
    const atTheLimit = runs(
      { stableRate: 0.02, candidateRate: 0.07, maxIncrease: 0.05, weight: 0.5, candidateRequests: 500, lookEvery: 10 },
      40,
    )
    expect(atTheLimit.filter(({ verdict }) => verdict === 'Fail').length).toBeLessThanOrEqual(1)
    expect(atTheLimit.filter(({ verdict }) => verdict === 'Pass').length).toBeLessThanOrEqual(1)
  })
})
