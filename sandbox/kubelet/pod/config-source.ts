import type { ConfigMap, Secret } from '../objects.ts'

/** Where ConfigMaps and Secrets are read from; undefined when there is no such object. */
export interface ConfigSource {
  configMap(namespace: string, name: string): Promise<ConfigMap | undefined>
  secret(namespace: string, name: string): Promise<Secret | undefined>
}

/** Something that a pod names is not there or not usable: a container cannot be created, a volume not be set up. */
export class ConfigError extends Error {}

export type Keys = ReadonlyMap<string, Buffer>

/** The keys of a ConfigMap as bytes; undefined when it does not exist and need not. @throws ConfigError */
export async function configMapKeys(
  source: ConfigSource,
  namespace: string,
  ref: { name?: string; optional?: boolean },
): Promise<Keys | undefined> {
  const found = await source.configMap(namespace, ref.name ?? '')
  if (found === undefined) return missing('configmap', ref)
  const texts = Object.entries(found.data ?? {}).map(([key, text]) => [key, Buffer.from(text)] as const)
  const binaries = Object.entries(found.binaryData ?? {}).map(
    ([key, text]) => [key, Buffer.from(text, 'base64')] as const,
  )
  return new Map([...texts, ...binaries])
}

/** The keys of a Secret as bytes; undefined when it does not exist and need not. @throws ConfigError */
export async function secretKeys(
  source: ConfigSource,
  namespace: string,
  ref: { name?: string; optional?: boolean },
): Promise<Keys | undefined> {
  const found = await source.secret(namespace, ref.name ?? '')
  if (found === undefined) return missing('secret', ref)
  return new Map(Object.entries(found.data ?? {}).map(([key, text]) => [key, Buffer.from(text, 'base64')]))
}

function missing(kind: string, ref: { name?: string; optional?: boolean }): undefined {
  if (ref.optional === true) return undefined
  throw new ConfigError(`${kind} "${ref.name ?? ''}" not found`)
}
