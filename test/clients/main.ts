/** `npm run test:clients`: public clients, installed from their registry, ask the model server; a browser of this machine tries its page. */
import { join } from 'node:path'
import { runSuite } from '../cannot-run.ts'
import { pythonWith } from '../python.ts'
import { runJest } from '../run-jest.ts'
import { findBrowser } from './find-browser.ts'

await runSuite('public clients', async () => {
  if (findBrowser() === undefined)
    console.error('SKIPPED: /docs in a browser; this machine lacks\n  chromium: apt-get install chromium')
  const python = await pythonWith({ name: 'clients', requirements: join(import.meta.dirname, 'requirements.txt') })
  return runJest('clients', { env: { PENSTOCK_CLIENTS_PYTHON: python } })
})
