import type { DownwardFile, KeyToPath, KeysSource, Pod, ProjectedSource, Volume } from '../objects.ts'
import { ConfigError, configMapKeys, secretKeys } from '../pod/config-source.ts'
import type { ConfigSource, Keys } from '../pod/config-source.ts'
import { fieldValue, resourceValue } from '../pod/downward.ts'
import type { PodAddresses } from '../pod/downward.ts'

export interface PayloadFile {
  readonly content: Buffer
  readonly mode: number
}

/** The files of a volume by their path in it. */
export type Payload = ReadonlyMap<string, PayloadFile>

export interface PayloadContext {
  readonly pod: Pod
  readonly addresses: PodAddresses
  readonly config: ConfigSource
}

const DEFAULT_MODE = 0o644

/** True for a volume whose files the kubelet writes. */
export function hasPayload(volume: Volume): boolean {
  return sourcesOf(volume) !== undefined
}

/** True for a volume whose files come from a ConfigMap or Secret that `matches`. */
export function reads(volume: Volume, kind: 'configMap' | 'secret', name: string): boolean {
  return (sourcesOf(volume) ?? []).some((source) => source[kind]?.name === name)
}

/** The files that a configMap, secret, downwardAPI or projected volume should have now. @throws ConfigError */
export async function payloadOf(volume: Volume, context: PayloadContext): Promise<Payload> {
  const mode =
    (volume.configMap ?? volume.secret ?? volume.downwardAPI ?? volume.projected)?.defaultMode ?? DEFAULT_MODE
  const payload = new Map<string, PayloadFile>()
  for (const source of sourcesOf(volume) ?? []) {
    for (const [path, file] of await filesOf(source, context, mode)) payload.set(path, file)
  }
  return payload
}

/** Every volume with files is a projected one with one or more sources. */
function sourcesOf(volume: Volume): readonly ProjectedSource[] | undefined {
  const { configMap, secret, downwardAPI, projected } = volume
  if (configMap !== undefined) return [{ configMap }]
  if (secret !== undefined) return [{ secret: { ...secret, ...(secret.secretName && { name: secret.secretName }) } }]
  if (downwardAPI !== undefined) return [{ downwardAPI }]
  return projected === undefined ? undefined : (projected.sources ?? [])
}

async function filesOf(
  source: ProjectedSource,
  context: PayloadContext,
  mode: number,
): Promise<[string, PayloadFile][]> {
  const { namespace } = context.pod.metadata
  const { configMap, secret, downwardAPI, serviceAccountToken } = source
  if (configMap !== undefined)
    return selected(await configMapKeys(context.config, namespace, configMap), configMap, mode)
  if (secret !== undefined) return selected(await secretKeys(context.config, namespace, secret), secret, mode)
  if (downwardAPI !== undefined) return (downwardAPI.items ?? []).map((item) => downwardFile(item, context, mode))
  if (serviceAccountToken === undefined) return []
  throw new ConfigError(
    'a serviceAccountToken source is not served to process pods: set automountServiceAccountToken to false',
  )
}

function selected(keys: Keys | undefined, source: KeysSource, mode: number): [string, PayloadFile][] {
  if (keys === undefined) return []
  if (source.items === undefined) return [...keys].map(([key, content]) => [checkedPath(key), { content, mode }])
  return source.items.flatMap((item): [string, PayloadFile][] => {
    const content = keys.get(item.key)
    if (content !== undefined) return [[checkedPath(item.path), { content, mode: modeOf(item, mode) }]]
    if (source.optional === true) return []
    throw new ConfigError(`references non-existent config key: ${item.key}`)
  })
}

function modeOf(item: KeyToPath | DownwardFile, mode: number): number {
  return item.mode ?? mode
}

function downwardFile(item: DownwardFile, { pod, addresses }: PayloadContext, mode: number): [string, PayloadFile] {
  const value =
    item.fieldRef === undefined
      ? item.resourceFieldRef && resourceValue(pod, undefined, item.resourceFieldRef)
      : fieldValue(pod, item.fieldRef.fieldPath, addresses)
  if (value === undefined) throw new ConfigError(`unsupported field of downward API file ${item.path}`)
  return [checkedPath(item.path), { content: Buffer.from(value), mode: modeOf(item, mode) }]
}

/** @throws ConfigError for a path that would leave the volume. */
function checkedPath(path: string): string {
  const parts = path.split('/')
  const bad = path === '' || parts.some((part) => part === '' || part === '..') || path.startsWith('..')
  if (bad) throw new ConfigError(`invalid path ${JSON.stringify(path)}: it must be relative and may not contain ".."`)
  return path
}
