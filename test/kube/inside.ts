/** Inside the namespaces, as the first process. Started by `main.ts`. */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LOCAL_NETWORKS } from './addresses.ts'
import { runTestsAndExit } from './first-process.ts'
import { furnish } from './namespaces.ts'

await runTestsAndExit({
  furnish: () => furnish(LOCAL_NETWORKS, tmpdir()),
  config: join(import.meta.dirname, 'jest.config.js'),
  place: 'a real control plane',
})
