import { LATENCY_BUCKETS, type Answers, type Evidence } from '../../protocol/evidence.ts'

const MAX_REVISIONS = 16
const MAX_TEXT_LENGTH = 300
const MAX_ERROR_SAMPLES = 5
const BREAKER_STATES = ['closed', 'open', 'half-open'] as const

/**
 * Reads a pod's evidence. A pod runs a user's image and may say anything, so every field is checked and bounded here.
 * @returns undefined when it is not evidence: to the core that pod then said nothing.
 */
export function decodeEvidence(value: unknown): Evidence | undefined {
  if (!isRecord(value)) return undefined
  const { instance, revision, version, sha256, ready, breaker } = value
  const planId = count(value.planId)
  const directRequests = count(value.directRequests)
  const relayedIn = count(value.relayedIn)
  const answers = decodeAllAnswers(value.answers)
  const state = BREAKER_STATES.find((each) => each === breaker)
  if (planId === undefined || directRequests === undefined || relayedIn === undefined || answers === undefined)
    return undefined
  if (!isText(instance) || !isText(revision) || !isText(version) || !isText(sha256)) return undefined
  if (typeof ready !== 'boolean' || state === undefined || instance === '') return undefined
  return { instance, revision, version, sha256, ready, planId, breaker: state, directRequests, relayedIn, answers }
}

function decodeAllAnswers(value: unknown): Record<string, Answers> | undefined {
  if (!isRecord(value)) return undefined
  const entries = Object.entries(value)
  if (entries.length > MAX_REVISIONS) return undefined
  const decoded: [string, Answers][] = []
  for (const [revision, each] of entries) {
    const answers = decodeAnswers(each)
    if (answers === undefined || !isText(revision)) return undefined
    decoded.push([revision, answers])
  }
  return Object.fromEntries(decoded)
}

function decodeAnswers(value: unknown): Answers | undefined {
  if (!isRecord(value)) return undefined
  const [ok, error, rejected, foreign, skipped] = [
    value.ok,
    value.error,
    value.rejected,
    value.foreign,
    value.skipped,
  ].map(count)
  const latency = decodeLatency(value.latency)
  if (
    ok === undefined ||
    error === undefined ||
    rejected === undefined ||
    foreign === undefined ||
    skipped === undefined
  )
    return undefined
  if (latency === undefined) return undefined
  return { ok, error, rejected, foreign, skipped, latency, errorSamples: decodeErrorSamples(value.errorSamples) }
}

function decodeLatency(value: unknown): Record<string, number> | undefined {
  if (!isRecord(value)) return undefined
  const entries = Object.entries(value)
  const valid = entries.every(([bucket, amount]) => isBucket(bucket) && count(amount) !== undefined)
  return valid ? (Object.fromEntries(entries) as Record<string, number>) : undefined
}

function decodeErrorSamples(value: unknown): Answers['errorSamples'] {
  if (!Array.isArray(value)) return []
  return value.slice(0, MAX_ERROR_SAMPLES).flatMap((each: unknown) => {
    if (!isRecord(each) || typeof each.message !== 'string') return []
    return [{ message: each.message.slice(0, MAX_TEXT_LENGTH), count: count(each.count) ?? 1 }]
  })
}

function isBucket(text: string): boolean {
  return /^\d{1,3}$/.test(text) && Number(text) < LATENCY_BUCKETS
}

function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT_LENGTH
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
