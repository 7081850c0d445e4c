/**
 * The token of the service account that a pod of GKE (Workload Identity) or a node of Compute Engine has. Only this one path of the
 * metadata server is asked, and only for `gs:`.
 */
import { lookup } from 'node:dns/promises'
import { setTimeout as after } from 'node:timers/promises'
import { onlyAddresses, type AddressPolicy } from '../address-policy.ts'
import { asJson, readDocument } from '../document.ts'
import { FetchError } from '../fetch-error.ts'
import { Patience } from '../patience.ts'
import type { Environment } from '../environment.ts'
import type { Remote } from '../persist.ts'
import { noProxy } from '../proxy.ts'
import { webUrl } from './http.ts'

const NAME = 'metadata.google.internal'
const PATH = '/computeMetadata/v1/instance/service-accounts/default/token'
export const METADATA_SERVER = onlyAddresses(['169.254.169.254', 32], ['fd20:ce::254', 128])
/** Of a name that only Google's resolvers know. */
const NAME_TIMEOUT_MS = 1_000
/** GKE's server is not ready in the first seconds of a pod; longer than this a public object need not wait. */
const PATIENCE_MS = 8_000

/** Undefined: there is no metadata server here, or it has no service account. @throws FetchError */
export async function metadataToken(remote: Remote): Promise<string | undefined> {
  const { env, log } = remote
  const own = env['GCE_METADATA_HOST'] ?? ''
  if (isUnwanted(env) || (own === '' && !(await isGoogleHere(env)))) return undefined
  const url = webUrl(`http://${own === '' ? NAME : own}${PATH}`, 'GCE_METADATA_HOST')
  const policy = policyFor(own, remote)
  const patience = new Patience(PATIENCE_MS, PATIENCE_MS, performance.now())
  try {
    const { status, headers, bytes } = await readDocument(
      { ...remote, policy, patience, proxyFor: noProxy },
      { url, headers: { 'metadata-flavor': 'Google' }, alsoTake: [404] },
    )
    if (headers['metadata-flavor'] !== 'Google' || status === 404) return undefined
    const token = (asJson(bytes, url) as { access_token?: unknown }).access_token
    return typeof token === 'string' ? token : undefined
  } catch (error) {
    if (!(error instanceof FetchError) || error.reason === 'Interrupted') throw error
    log(`${error.message} Google Cloud is asked anonymously.`)
    return undefined
  } finally {
    remote.patience.progressed(performance.now())
  }
}

/** Law: Google's addresses are open to this one request only. A host of one's own is held to what all requests are. */
function policyFor(own: string, { policy }: Remote): AddressPolicy {
  return own === '' || own === NAME || METADATA_SERVER.allows(own) ? METADATA_SERVER : policy
}

function isUnwanted(env: Environment): boolean {
  return /^(1|true)$/i.test(env['NO_GCE_CHECK'] ?? '')
}

/** Law: what stands in for Google's storage is not shown what Google gave this pod, unless its metadata server is a stand-in as well. */
async function isGoogleHere(env: Environment): Promise<boolean> {
  const isElsewhere = (env['STORAGE_EMULATOR_HOST'] ?? '') !== ''
  return !isElsewhere && (await isKnownHere())
}

/** Elsewhere nobody answers at that address, or somebody else. */
async function isKnownHere(): Promise<boolean> {
  const timeUp = new AbortController()
  try {
    const seen = await Promise.race([
      lookup(NAME, { all: true }).catch(() => []),
      after(NAME_TIMEOUT_MS, [], { signal: timeUp.signal }),
    ])
    return seen.some(({ address }) => METADATA_SERVER.allows(address))
  } finally {
    timeUp.abort()
  }
}
