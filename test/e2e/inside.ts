/** Inside the namespaces, as the first process. Started by `main.ts`. */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runTestsAndExit } from '../kube/first-process.ts'
import { furnishNode } from './furnishing.ts'

await runTestsAndExit({
  furnish: () => furnishNode(tmpdir()),
  config: join(import.meta.dirname, 'jest.config.js'),
  place: 'a real node',
})
