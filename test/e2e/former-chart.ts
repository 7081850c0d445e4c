/** An earlier state of the chart, for an upgrade: its CustomResourceDefinition lacks one field. */
import { cp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dump, load } from 'js-yaml'
import type { Tool } from './tool.ts'

export const DEFINITION = 'customresourcedefinition/modeldeployments.penstock.dev'
const FIELD = 'drainSeconds'

interface Definition {
  readonly spec: { readonly versions: readonly [{ readonly schema: { readonly openAPIV3Schema: Node } }] }
}

interface Node {
  readonly properties: Readonly<Record<string, Node>>
}

/** @returns the folder of the chart */
export async function formerChart(chart: string): Promise<string> {
  const folder = join(tmpdir(), 'former-chart')
  await cp(chart, folder, { recursive: true, dereference: true })
  const file = join(folder, 'files/modeldeployments.yaml')
  const definition = load(await readFile(file, 'utf8')) as Definition
  const server = definition.spec.versions[0].schema.openAPIV3Schema.properties.spec?.properties.server
  if (server?.properties[FIELD] === undefined) throw new Error(`${file} has no field ${FIELD}: name another one here`)
  Reflect.deleteProperty(server.properties, FIELD)
  await writeFile(file, dump(definition))
  return folder
}

/** Type of the field in the cluster; empty when it has none. */
export function newFieldOf(kubectl: Tool): Promise<string> {
  const path = `.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.server.properties.${FIELD}.type`
  return kubectl(['get', DEFINITION, `--output=jsonpath={${path}}`])
}
