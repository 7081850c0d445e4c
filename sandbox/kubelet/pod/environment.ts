import type { Container, EnvFrom, EnvVar, KeySelector, Pod } from '../objects.ts'
import { ConfigError, configMapKeys, secretKeys } from './config-source.ts'
import type { ConfigSource, Keys } from './config-source.ts'
import { fieldValue, resourceValue } from './downward.ts'
import type { PodAddresses } from './downward.ts'
import { expand } from './expand.ts'

export interface EnvironmentContext {
  readonly pod: Pod
  readonly container: Container
  readonly addresses: PodAddresses
  readonly config: ConfigSource
  /** What every container of the sandbox gets; the pod's own values win. */
  readonly base: Readonly<Record<string, string>>
}

type Environment = Map<string, string>

/**
 * The environment that a container's spec asks for: `envFrom` in order, then `env` in order, where `$(NAME)` may name what came before.
 *
 * @throws ConfigError when a ConfigMap, a Secret or a key of them is missing and not optional.
 */
export async function environmentOf(context: EnvironmentContext): Promise<ReadonlyMap<string, string>> {
  const environment: Environment = new Map(Object.entries(context.base))
  for (const from of context.container.envFrom ?? []) await addAll(environment, from, context)
  for (const variable of context.container.env ?? []) await add(environment, variable, context)
  return environment
}

async function addAll(environment: Environment, from: EnvFrom, { pod, config }: EnvironmentContext): Promise<void> {
  const { namespace } = pod.metadata
  const sources = [
    from.configMapRef && (await configMapKeys(config, namespace, from.configMapRef)),
    from.secretRef && (await secretKeys(config, namespace, from.secretRef)),
  ]
  for (const keys of sources)
    for (const [key, value] of keys ?? []) environment.set(`${from.prefix ?? ''}${key}`, value.toString())
}

async function add(environment: Environment, variable: EnvVar, context: EnvironmentContext): Promise<void> {
  const value =
    variable.valueFrom === undefined
      ? expand(variable.value ?? '', (name) => environment.get(name))
      : await valueFrom(variable.valueFrom, context)
  if (value !== undefined) environment.set(variable.name, value)
}

async function valueFrom(
  source: NonNullable<EnvVar['valueFrom']>,
  { pod, container, addresses, config }: EnvironmentContext,
): Promise<string | undefined> {
  const { fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef } = source
  const { namespace } = pod.metadata
  if (fieldRef !== undefined) {
    const value = fieldValue(pod, fieldRef.fieldPath, addresses)
    if (value === undefined) throw new ConfigError(`unsupported fieldPath: ${fieldRef.fieldPath}`)
    return value
  }
  if (resourceFieldRef !== undefined) {
    const value = resourceValue(pod, container, resourceFieldRef)
    if (value === undefined) throw new ConfigError(`unsupported container resource: ${resourceFieldRef.resource}`)
    return value
  }
  if (configMapKeyRef !== undefined) {
    return keyOf(await configMapKeys(config, namespace, configMapKeyRef), configMapKeyRef, `ConfigMap ${namespace}`)
  }
  if (secretKeyRef === undefined) return undefined
  return keyOf(await secretKeys(config, namespace, secretKeyRef), secretKeyRef, `Secret ${namespace}`)
}

function keyOf(keys: Keys | undefined, ref: KeySelector, where: string): string | undefined {
  const value = keys?.get(ref.key)
  if (value !== undefined) return value.toString()
  if (ref.optional === true) return undefined
  throw new ConfigError(`couldn't find key ${ref.key} in ${where}/${ref.name ?? ''}`)
}
