/**
 * Generates config/install.yaml from the chart, for those who install without Helm; config/ is a kustomize base, too.
 * With --check it writes nothing and exits 1 when the committed file is not what would be generated.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { installManifest } from '../test/chart/install-manifest.ts'
import { findHelm } from '../test/kube/binaries.ts'

const file = join(import.meta.dirname, '../config/install.yaml')
const text = installManifest(await findHelm({ say: (line) => console.error(line) }))
if (!process.argv.includes('--check')) {
  writeFileSync(file, text)
} else if (readFileSync(file, 'utf8') !== text) {
  console.error('config/install.yaml is older than the chart: run `npm run generate:manifests` and commit the result.')
  process.exitCode = 1
}
