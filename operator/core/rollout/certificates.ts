import { knownScheme, type Observation } from '../observation.ts'
import type { RevisionName, RevisionSource } from '../revision.ts'
import type { State } from '../state.ts'

/**
 * Law: whoever relays asks in its own name, so a revision that wants certificates may only follow ones that have one: stable, and
 * replaced revisions, which relay to whatever is stable.
 *
 * @returns a revision that would relay to the wanted one and has no certificate; undefined when there is none
 */
export function withoutCertificate(
  wanted: RevisionName,
  { server }: Pick<RevisionSource, 'server'>,
  { stable, retiring }: State,
  seen: Observation,
): RevisionName | undefined {
  if (server?.tls?.mode !== 'Mutual' || stable === wanted) return undefined
  const relaying = [...(stable === undefined ? [] : [stable]), ...retiring.map(({ revision }) => revision)]
  return relaying.find((revision) => revision !== wanted && knownScheme(revision, seen) === 'http')
}
