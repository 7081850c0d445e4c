import type { PlanFile, PlanPeer } from '../../../protocol/plan.ts'

/** Why a plan file is not followed; the message names the field. */
export class PlanError extends Error {}

/**
 * Reads a traffic plan. Members that this server does not know are ignored: a newer operator must not lose an older server.
 * @param revision the one that this process serves
 * @throws PlanError
 */
export function parsePlan(text: string, revision: string): PlanFile {
  const plan = parseObject(text)
  if (plan['revision'] !== revision) {
    throw new PlanError(`revision must be ${revision}, this pod's own, got ${shown(plan['revision'])}`)
  }
  const id = integerIn(plan, 'id', Number.MAX_SAFE_INTEGER)
  const weightPermille = integerIn(plan, 'weightPermille', 1000)
  const shadowPermille = integerIn(plan, 'shadowPermille', 1000)
  const peer = plan['peer'] === undefined ? undefined : parsePeer(plan['peer'], revision)
  if (peer === undefined && weightPermille + shadowPermille > 0) {
    throw new PlanError('peer is missing, but a share of the requests is meant for it')
  }
  const stickyHeader = parseHeader(plan['stickyHeader'])
  if (typeof plan['retired'] !== 'boolean')
    throw new PlanError(`retired must be a boolean, got ${shown(plan['retired'])}`)
  return {
    id,
    revision,
    weightPermille,
    shadowPermille,
    retired: plan['retired'],
    ...(peer !== undefined && { peer }),
    ...(stickyHeader !== undefined && { stickyHeader }),
  }
}

type Members = Readonly<Record<string, unknown>>

function parseObject(text: string): Members {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new PlanError(`it is not JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
  return asObject(value, 'the plan')
}

function asObject(value: unknown, name: string): Members {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new PlanError(`${name} must be an object, got ${shown(value)}`)
  }
  return value as Members
}

function integerIn(plan: Members, name: string, max: number): number {
  const value = plan[name]
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= max) return value
  throw new PlanError(`${name} must be an integer in 0..${max}, got ${shown(value)}`)
}

/** `host:port`, where an IPv6 host stands in brackets. */
const ADDRESS = /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/

function parsePeer(value: unknown, ownRevision: string): PlanPeer {
  const { revision, address, scheme } = asObject(value, 'peer')
  if (typeof revision !== 'string' || revision === '' || revision === ownRevision) {
    throw new PlanError(`peer.revision must name another revision, got ${shown(revision)}`)
  }
  const port = typeof address === 'string' ? Number(ADDRESS.exec(address)?.[1] ?? 0) : 0
  if (typeof address !== 'string' || port < 1 || port > 65_535) {
    throw new PlanError(`peer.address must be host:port, got ${shown(address)}`)
  }
  if (scheme !== undefined && scheme !== 'http' && scheme !== 'https') {
    throw new PlanError(`peer.scheme must be http or https, got ${shown(scheme)}`)
  }
  return { revision, address, ...(scheme !== undefined && { scheme }) }
}

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/

function parseHeader(value: unknown): string | undefined {
  if (value === undefined || (typeof value === 'string' && HEADER_NAME.test(value))) return value
  throw new PlanError(`stickyHeader must be a header's name in lower case, got ${shown(value)}`)
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 80)
}
