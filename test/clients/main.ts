/** `npm run test:clients`: public clients, installed from their registry, ask the model server. */
import { join } from 'node:path'
import { runSuite } from '../cannot-run.ts'
import { pythonWith } from '../python.ts'
import { runJest } from '../run-jest.ts'

await runSuite('public clients', async () => {
  const python = await pythonWith({ name: 'clients', requirements: join(import.meta.dirname, 'requirements.txt') })
  return runJest('clients', { env: { PENSTOCK_CLIENTS_PYTHON: python } })
})
