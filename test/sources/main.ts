/** `npm run test:sources`: models are fetched from servers of other people, built and installed for it. Arguments go to Jest. */
import { runSuite } from '../cannot-run.ts'
import { runJest } from '../run-jest.ts'
import { buildPrograms } from './programs.ts'
import { installPython } from './python-programs.ts'

await runSuite('model sources', async () => {
  await buildPrograms((line) => console.error(line))
  await installPython()
  return runJest('sources')
})
