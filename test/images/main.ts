/** `npm run test:images`: builds both images with the real buildah, and runs them. Arguments go to Jest. */
import { CANNOT_RUN, OWN_MOUNTS, runJest } from '../run-jest.ts'
import { missingRequirements } from './requirements.ts'

const missing = missingRequirements()
if (missing.length > 0) {
  console.error(['The images are not tested: this machine lacks', ...missing.map((each) => `  ${each}`)].join('\n'))
  process.exitCode = CANNOT_RUN
} else {
  // Containers that are mounted for a look would stay mounted where the tests are interrupted.
  process.exitCode = runJest('images', { through: OWN_MOUNTS })
}
