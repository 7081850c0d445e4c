/** `npm run test:sources`: models are fetched from servers of other people, built and installed for it. Arguments go to Jest. */
import { CANNOT_RUN, runJest } from '../run-jest.ts'
import { buildPrograms } from './programs.ts'
import { installPython } from './python-programs.ts'

try {
  await buildPrograms((line) => console.error(line))
  await installPython()
  process.exitCode = runJest('sources')
} catch (error) {
  console.error(`SKIPPED: the servers that hold the models cannot be had here. ${(error as Error).message}`)
  process.exitCode = CANNOT_RUN
}
