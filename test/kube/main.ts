/**
 * `npm run test:kube`: the integration tests on a real Kubernetes control plane. Arguments go to Jest, for example `-- -t scaled`.
 *
 * This process finds or builds the programs and enters the namespaces; `inside.ts` runs the tests there.
 */
import { dirname, join } from 'node:path'
import { CANNOT_RUN } from '../run-jest.ts'
import { cacheDirectory, findBinaries } from './binaries.ts'
import { runIsolated } from './namespaces.ts'

try {
  const binaries = await findBinaries({ say: (line) => console.error(line) })
  const directory = dirname(binaries.kubectl)
  process.exitCode = await runIsolated({
    command: [process.execPath, join(import.meta.dirname, 'inside.ts'), ...process.argv.slice(2)],
    cwd: join(import.meta.dirname, '../..'),
    env: { ...process.env, KUBEBUILDER_ASSETS: directory, PATH: `${directory}:${process.env.PATH ?? ''}` },
    temporary: join(cacheDirectory(), 'run'),
  })
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = CANNOT_RUN
}
