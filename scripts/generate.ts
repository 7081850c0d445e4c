/**
 * Generates what comes from crds/modeldeployments.yaml, so that the API is written once: the TypeScript types and the chart's copy.
 * With --check it writes nothing and exits 1 when a committed file is not what would be generated.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { load } from 'js-yaml'
import { compile, type JSONSchema } from 'json-schema-to-typescript'

const root = join(import.meta.dirname, '..')
const source = 'crds/modeldeployments.yaml'

interface CustomResourceDefinition {
  spec: { versions: { schema: { openAPIV3Schema: JSONSchema } }[] }
}

/** Turns Kubernetes' dialect into plain JSON Schema: free-form objects, int-or-string, and names for the types people use. */
function plain(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(plain)
  if (typeof schema !== 'object' || schema === null) return schema
  const entries = Object.entries(schema).filter(
    ([key]) => !key.startsWith('x-kubernetes-') && key !== 'pattern' && key !== 'default',
  )
  const result: Record<string, unknown> = Object.fromEntries(entries.map(([key, value]) => [key, plain(value)]))
  delete result.maxItems
  delete result.minItems
  if ('x-kubernetes-preserve-unknown-fields' in schema) result.additionalProperties = true
  if ('x-kubernetes-int-or-string' in schema) delete result.type
  return result
}

const definition = readFileSync(join(root, source), 'utf8')
const crd = load(definition) as CustomResourceDefinition
const schema = plain(crd.spec.versions[0]?.schema.openAPIV3Schema) as JSONSchema
const { spec, status } = schema.properties as { spec: JSONSchema; status: JSONSchema }
const options = {
  additionalProperties: false,
  bannerComment: '',
  declareExternallyReferenced: true,
  unknownAny: true,
  format: true,
  style: { semi: false, singleQuote: true, printWidth: 120 },
}
const types = [
  `// Generated from ${source} by scripts/generate.ts; edit the source and run \`npm run generate\`.\n`,
  await compile(spec, 'ModelDeploymentSpec', options),
  await compile(status, 'ModelDeploymentStatus', options),
].join('\n')

const files = {
  'operator/api/types.generated.ts': types,
  'charts/penstock/files/modeldeployments.yaml': definition,
}

for (const [file, text] of Object.entries(files)) {
  const path = join(root, file)
  if (!process.argv.includes('--check')) {
    writeFileSync(path, text)
  } else if (!existsSync(path) || readFileSync(path, 'utf8') !== text) {
    console.error(`${file} is older than ${source}: run \`npm run generate\` and commit the result.`)
    process.exitCode = 1
  }
}
