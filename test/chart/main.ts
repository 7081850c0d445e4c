/** `npm run test:chart`: tests of the chart with the real Helm. Arguments go to Jest. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { findBinaries, findHelm } from '../kube/binaries.ts'

const root = join(import.meta.dirname, '../..')
const jest = join(root, 'node_modules/jest/bin/jest.js')
/** Not failed, but not run either: this machine lacks something. The Automake convention for skipped tests. */
const CANNOT_RUN = 77

try {
  const say = (line: string) => console.error(line)
  const HELM_BIN = await findHelm({ say })
  const KUBECTL = (await findBinaries({ say })).kubectl
  const args = ['--experimental-vm-modules', '--no-warnings', jest, '--config=test/chart/jest.config.js']
  const { status } = spawnSync(process.execPath, [...args, ...process.argv.slice(2)], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, HELM_BIN, KUBECTL },
  })
  process.exitCode = status ?? 1
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = CANNOT_RUN
}
