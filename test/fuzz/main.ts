/**
 * `npm run test:fuzz [-- --requests=100000 --models=10000 --seed=1]`: hostile requests against a real server process, and broken model
 * files against `inspect`. Fails on a crash, a hang, a fault of the server (500), or memory that grows.
 */
import { parseArgs } from 'node:util'
import { fuzzModels } from './model-files.ts'
import { fuzzServer } from './server-process.ts'

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '100000' },
    models: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
  },
})
const seed = Number(values.seed)
const findings = [
  ...(await fuzzServer({ requests: Number(values.requests), seed })),
  ...(await fuzzModels({ files: Number(values.models), seed })),
]
for (const finding of findings) console.error(`FOUND: ${finding}`)
console.log(`${findings.length} findings (seed ${seed})`)
process.exitCode = findings.length === 0 ? 0 : 1
