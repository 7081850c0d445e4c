/** `npm run test:images`: builds both images with the real buildah, and runs them. Arguments go to Jest. */
import { CannotRunError, runSuite } from '../cannot-run.ts'
import { OWN_MOUNTS, runJest } from '../run-jest.ts'
import { missingRequirements } from './requirements.ts'

await runSuite('the images', async () => {
  const missing = missingRequirements()
  if (missing.length > 0) throw new CannotRunError(...missing)
  // Containers that are mounted for a look would stay mounted where the tests are interrupted.
  return runJest('images', { through: OWN_MOUNTS })
})
