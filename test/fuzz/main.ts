/**
 * `npm run test:fuzz [-- --requests=100000 --calls=20000 --models=10000 --seed=1]`: hostile requests and gRPC calls against a real server process, and broken model
 * files against `inspect`. Fails on a crash, a hang, a fault of the server (500), or memory that grows.
 */
import { parseArgs } from 'node:util'
import { fuzzGrpc } from './grpc.ts'
import { fuzzHttp } from './http.ts'
import { fuzzModels } from './model-files.ts'

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '100000' },
    calls: { type: 'string', default: '20000' },
    models: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
  },
})
const seed = Number(values.seed)
const findings = [
  ...(await fuzzHttp({ requests: Number(values.requests), seed })),
  ...(await fuzzGrpc({ requests: Number(values.calls), seed })),
  ...(await fuzzModels({ files: Number(values.models), seed })),
]
for (const finding of findings) console.error(`FOUND: ${finding}`)
console.log(`${findings.length} findings (seed ${seed})`)
process.exitCode = findings.length === 0 ? 0 : 1
