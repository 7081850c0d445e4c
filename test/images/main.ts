/** `npm run test:images`: builds both images with the real buildah, and runs them. Arguments go to Jest. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { missingRequirements } from './requirements.ts'

const root = join(import.meta.dirname, '../..')
const jest = join(root, 'node_modules/jest/bin/jest.js')
/** Not failed, but not run either: this machine lacks something. The Automake convention for skipped tests. */
const CANNOT_RUN = 77

const missing = missingRequirements()
if (missing.length > 0) {
  console.error(['The images are not tested: this machine lacks', ...missing.map((each) => `  ${each}`)].join('\n'))
  process.exitCode = CANNOT_RUN
} else {
  const args = ['--experimental-vm-modules', '--no-warnings', jest, '--config=test/images/jest.config.js']
  const { status } = spawnSync(process.execPath, [...args, ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' })
  process.exitCode = status ?? 1
}
