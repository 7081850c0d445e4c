import type { ModelDeploymentStatus } from '../../operator/api/resource.ts'
import type { ErrorRateEvidence, GateReport, LatencyEvidence } from '../../operator/core/gates/verdict.ts'
import { heading, printTable } from './claims.ts'
import { conditionOf } from './watcher.ts'

/** Prints the status as a person would want to read it: what became of each version, by which numbers, and how things stand now. */
export function printStatus(status: ModelDeploymentStatus): void {
  const history = [...(status.history ?? [])].reverse()
  heading('What became of each version')
  printTable(
    ['version', 'outcome', 'why'],
    history.map((entry) => [entry.version ?? entry.revision, entry.outcome, entry.reason ?? '']),
  )
  heading('The numbers of each decision')
  printTable(
    ['version', 'gate', 'verdict', 'candidate', 'stable', 'proven bounds', 'allowed'],
    history.flatMap(({ version, revision, evidence = [] }) =>
      (evidence as unknown as readonly GateReport[]).map((report) => [
        version ?? revision,
        report.name,
        report.verdict,
        ...numbersOf(report),
      ]),
    ),
  )
  heading('How it stands now')
  printTable(
    ['condition', 'status', 'reason', 'message'],
    ['Ready', 'Available', 'Progressing', 'Stalled'].map((type) => {
      const { status: answer = '?', reason = '', message = '' } = conditionOf(status, type) ?? {}
      return [type, answer, reason, message]
    }),
  )
}

function numbersOf({ evidence }: GateReport): readonly string[] {
  switch (evidence.kind) {
    case 'errorRate':
      return errorRateNumbers(evidence)
    case 'latency':
      return latencyNumbers(evidence)
    case 'contract':
    case 'golden':
    case 'health':
    case 'resolve':
      return [JSON.stringify(evidence.facts), '', '', '']
    default:
      return evidence satisfies never
  }
}

function errorRateNumbers({ candidate, stable, increase, maxIncrease }: ErrorRateEvidence): readonly string[] {
  const failed = ({ k, n }: { k: number; n: number }) => `${k} of ${n} failed`
  const points = (share: number | null) => (share === null ? '?' : (share * 100).toFixed(1))
  const bounds = `${points(increase.lower)} to ${points(increase.upper)} points more`
  return [failed(candidate), failed(stable), bounds, `${points(maxIncrease)} points`]
}

function latencyNumbers(evidence: LatencyEvidence): readonly string[] {
  const { quantile, candidate, stable, ratio, maxRatio, ignoreBelowMs } = evidence
  const measured = ({ seconds, n }: { seconds: number | null; n: number }) =>
    `p${quantile * 100} ${seconds === null ? '?' : (seconds * 1000).toFixed(2)} ms of ${n}`
  const upper = ratio.upper === null ? 'unbounded' : `${ratio.upper.toFixed(2)} times as slow`
  const allowed = `${maxRatio} times${ignoreBelowMs === undefined ? '' : ` above ${ignoreBelowMs} ms`}`
  return [measured(candidate), measured(stable), `${ratio.lower.toFixed(2)} to ${upper}`, allowed]
}
