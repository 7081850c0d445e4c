import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { loadAll } from 'js-yaml'

export const CHART = join(import.meta.dirname, '../../charts/penstock')

export interface HelmOutcome {
  readonly ok: boolean
  readonly stdout: string
  readonly stderr: string
}

export function runHelm(helm: string, args: readonly string[]): HelmOutcome {
  const { status, stdout, stderr, error } = spawnSync(helm, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 })
  if (error !== undefined) throw error
  return { ok: status === 0, stdout, stderr }
}

export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Record<string, string>
    readonly annotations?: Record<string, string>
  }
  readonly spec?: unknown
  readonly rules?: readonly Rule[]
  readonly data?: Record<string, string>
}

export interface Rule {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
  readonly resourceNames?: readonly string[]
}

/** Objects of a multi-document YAML text. */
export function manifestsIn(text: string): Manifest[] {
  return loadAll(text).filter((each) => each !== null && each !== undefined) as Manifest[]
}
