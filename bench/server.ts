/** Requests a second of `serve`, beside plain express and beside the bare model: `node bench/server.ts [model.onnx]`. */
import { spawn, type ChildProcess } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadModel, type LoadedModel } from '../server-image/model/session.ts'
import { feedsOf, outputsOf } from '../server-image/model/rows.ts'
import { endNow } from './child.ts'
import { load } from './load.ts'

const HOST = '127.0.0.1'
const SECONDS = 4
const ROUNDS = 3
const root = join(import.meta.dirname, '..')
const [modelPath = join(root, 'server-image/model/testdata/mlp20.onnx')] = process.argv.slice(2)

const dir = mkdtempSync(join(tmpdir(), 'penstock-bench-'))
copyFileSync(modelPath, join(dir, 'model.onnx'))
const model = await loadModel({ path: modelPath })
const { signature } = model
if (signature.kind !== 'tabular') throw new Error(`Only models that take rows can be measured: ${signature.reason}`)
const row = signature.features.map((_, index) => Math.round(Math.sin(index) * 1e4) / 1e4)
const body = JSON.stringify({ features: row })

const servers = {
  'penstock serve': {
    port: 18_471,
    command: [
      'server-image/main.ts',
      'serve',
      `--model-dir=${dir}`,
      '--port=18471',
      `--host=${HOST}`,
      '--log-level=warn',
    ],
  },
  'express + session.run': { port: 18_472, command: ['bench/express-baseline.ts', modelPath, '18472'] },
}
const children: ChildProcess[] = []
try {
  for (const { command, port } of Object.values(servers)) {
    const child = spawn(process.execPath, ['--no-warnings', ...command], {
      cwd: root,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    children.push(child)
    await untilAnswering(port)
  }
  console.log(`model alone, one row a run: ${Math.round(runsPerSecond(model, row))}/s`)
  for (let round = 1; round <= ROUNDS; round += 1) {
    for (const [name, { port }] of Object.entries(servers)) await measure(name, port)
  }
} finally {
  await Promise.all(children.map(endNow))
  rmSync(dir, { recursive: true })
}

async function measure(name: string, port: number): Promise<void> {
  const target = { host: HOST, port, path: '/predict', body }
  await load({ ...target, connections: 32, seconds: 1 })
  for (const connections of [1, 32]) {
    const { requestsPerSecond, failures, p50Ms, p99Ms } = await load({ ...target, connections, seconds: SECONDS })
    const latency = `p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms`
    console.log(
      `${name}, ${connections} connections: ${Math.round(requestsPerSecond)} req/s, ${latency}, ${failures} failed`,
    )
  }
}

function runsPerSecond(alone: LoadedModel, features: readonly number[]): number {
  if (alone.signature.kind !== 'tabular') return NaN
  const outputs = outputsOf(alone.signature)
  const endsAt = performance.now() + 1000
  let runs = 0
  for (; performance.now() < endsAt; runs += 1) alone.run(feedsOf(alone.signature, [features]), outputs)
  return runs
}

async function untilAnswering(port: number): Promise<void> {
  const deadline = performance.now() + 20_000
  for (;;) {
    const response = await fetch(`http://${HOST}:${port}/predict`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
    }).catch(() => undefined)
    if (response?.ok === true) return
    if (performance.now() > deadline) throw new Error(`Nothing answers on port ${port}.`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
