/**
 * `npm run test:kube`: the integration tests on a real Kubernetes control plane. Arguments go to Jest, for example `-- -t scaled`.
 *
 * This process finds or builds the programs and enters the namespaces; `inside.ts` runs the tests there.
 */
import { dirname, join } from 'node:path'
import { runSuite } from '../cannot-run.ts'
import { cacheDirectory, findBinaries } from './binaries.ts'
import { runIsolated } from './namespaces.ts'

await runSuite('a real control plane', async () => {
  const { kubectl } = await findBinaries({ say: (line) => console.error(line) })
  return runIsolated({
    command: [process.execPath, join(import.meta.dirname, 'inside.ts'), ...process.argv.slice(2)],
    cwd: join(import.meta.dirname, '../..'),
    env: { ...process.env, PATH: `${dirname(kubectl)}:${process.env.PATH ?? ''}` },
    temporary: join(cacheDirectory(), 'run'),
  })
})
