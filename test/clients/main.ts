/** `npm run test:clients`: public clients, installed from their registry, ask the model server. */
import { join } from 'node:path'
import { pythonWith } from '../python.ts'
import { CANNOT_RUN, runJest } from '../run-jest.ts'

const python = await pythonWith({ name: 'clients', requirements: join(import.meta.dirname, 'requirements.txt') })
if (python === undefined) {
  console.log(
    'SKIPPED: there is no python3 with venv and pip on this machine, so no public client could ask; install python3-venv.',
  )
  process.exitCode = CANNOT_RUN
} else process.exitCode = runJest('clients', { env: { PENSTOCK_CLIENTS_PYTHON: python } })
