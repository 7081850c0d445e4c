import { readFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { loadAll } from 'js-yaml'
import type { Client } from '../operator/kube/client.ts'
import { CUSTOM_RESOURCE_DEFINITION, readAs } from '../operator/kube/resources.ts'
import { conditionOf } from './controllers/pod-state.ts'
import type { Condition, KubeObject } from './controllers/objects.ts'

interface Definition extends KubeObject {
  readonly status?: { readonly conditions?: Condition[] }
}

const DEFINITION = readAs<Definition>(CUSTOM_RESOURCE_DEFINITION)
const ESTABLISHED_WITHIN_MS = 10_000
const LOOK_EVERY_MS = 5

/**
 * Creates the CustomResourceDefinitions of some YAML files; resolves once their kinds are served.
 *
 * @throws Error that names the file, when it cannot be read, holds something else, or the API server refuses it.
 */
export async function loadCrds(client: Client, paths: readonly string[]): Promise<void> {
  const definitions = (await Promise.all(paths.map(definitionsIn))).flat()
  await Promise.all(definitions.map(({ path, definition }) => establish(client, path, definition)))
}

async function definitionsIn(path: string): Promise<{ path: string; definition: Definition }[]> {
  const documents = loadAll(await readFile(path, 'utf8'), { filename: path }).filter(
    (document) => document !== null && document !== undefined,
  )
  return documents.map((document) => {
    const definition = document as Definition
    if (definition.kind !== DEFINITION.kind)
      throw new Error(
        `${path} holds a ${definition.kind ?? 'thing without kind'}: give files of ${DEFINITION.kind}s only`,
      )
    return { path, definition }
  })
}

async function establish(client: Client, path: string, definition: Definition): Promise<void> {
  const { name } = definition.metadata
  try {
    await client.create(DEFINITION, definition)
  } catch (error) {
    throw new Error(`${path}: ${name} was refused: ${(error as Error).message}`, { cause: error })
  }
  await whenEstablished(client, name)
}

/** Resolves once the kind of a definition is served. @throws Error with its conditions when that takes more than ten seconds */
export async function whenEstablished(client: Client, name: string): Promise<void> {
  const deadline = performance.now() + ESTABLISHED_WITHIN_MS
  for (;;) {
    const { status } = await client.get(DEFINITION, { name })
    if (conditionOf(status?.conditions, 'Established')?.status === 'True') return
    if (performance.now() > deadline)
      throw new Error(`${name} is not established: ${JSON.stringify(status?.conditions ?? [])}`)
    await delay(LOOK_EVERY_MS)
  }
}
