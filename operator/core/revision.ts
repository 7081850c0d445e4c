import { createHash } from 'node:crypto'
import type { ModelDeploymentSpec, ModelSpec } from '../api/resource.ts'

/** Name of an immutable snapshot of everything that decides what a pod runs: `<modeldeployment>-<10 hex digits>`. */
export type RevisionName = string

/** JSON with sorted keys and without undefined: the same value always gives the same text. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`)
  return `{${fields.join(',')}}`
}

/** What a revision is made of: the fields a user set under model and server, without the version, which is a label. */
export interface RevisionSource {
  readonly model: Omit<ModelSpec, 'version'>
  readonly server?: NonNullable<ModelDeploymentSpec['server']>
}

export function revisionSource(spec: ModelDeploymentSpec): RevisionSource {
  const { version: _label, ...model } = spec.model
  return spec.server === undefined ? { model } : { model, server: spec.server }
}

/** What the pods of a revision speak. */
export type Scheme = 'http' | 'https'

export function schemeOf({ server }: RevisionSource): Scheme {
  return server?.tls === undefined ? 'http' : 'https'
}

/** The digits that tell a revision from others of its ModelDeployment. */
export function hashOf(revision: RevisionName, modelDeployment: string): string {
  return revision.slice(modelDeployment.length + 1)
}

/**
 * Name of the revision that a spec asks for. An empty `server: {}` and no server at all ask for the same thing, so they hash alike.
 */
export function revisionName(modelDeployment: string, spec: ModelDeploymentSpec): RevisionName {
  const { model, server } = revisionSource(spec)
  const asked = server !== undefined && Object.keys(server).length > 0 ? { model, server } : { model }
  return `${modelDeployment}-${createHash('sha256').update(canonicalJson(asked)).digest('hex').slice(0, 10)}`
}
