/** The server against its own limits: the bare model, no batching, start, memory, and what happens beyond saturation. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { coresAwake, hasTools, onCore, onLoadCore } from './awake.ts'
import { endNow } from './child.ts'
import { load, probedWhile } from './load.ts'
import { median, quantile } from './statistics.ts'
import { wrk, type Measured, type WrkOptions } from './wrk.ts'

const HOST = '127.0.0.1'
const PORT = 18_650
const START_SECONDS = 30
/** Enough to saturate a heavy model, and so few that the last of them is answered in time where a run takes 100 ms. */
const SATURATING = 16
const ROOT = join(import.meta.dirname, '..')
const TESTDATA = join(ROOT, 'server-image/model/testdata')
const row = Array.from({ length: 20 }, (_, index) => Math.round(Math.sin(index) * 1e4) / 1e4)
const PREDICT = JSON.stringify({ features: row })
/** Loop rounds of a model that takes as long as its input says: some 20 ms. */
const HEAVY = JSON.stringify({ features: [25_000] })

export interface LimitsOptions {
  readonly rounds: number
  readonly seconds: number
}

export async function benchLimits({ rounds, seconds }: LimitsOptions): Promise<void> {
  if (!hasTools()) return
  const dir = mkdtempSync(join(tmpdir(), 'penstock-bench-'))
  try {
    const bundled = spawnSync(process.execPath, ['scripts/bundle.ts', 'server', `--out=${join(dir, 'app')}`], {
      cwd: ROOT,
    })
    if (bundled.status !== 0) throw new Error(`the server cannot be bundled: ${String(bundled.stderr)}`)
    // First what a loaded machine would slow down.
    await starting(dir, rounds)
    onLoadCore()
    await saturated(dir, rounds, seconds)
    await using _awake = await coresAwake('server', 'load')
    await againstBareModel(dir, rounds, seconds)
    await alone(dir, rounds, seconds)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

interface Running {
  readonly child: ChildProcess
  readonly url: string
  [Symbol.asyncDispose](): Promise<void>
}

async function serve(dir: string, model: string, ...flags: string[]): Promise<Running> {
  const folder = join(dir, model)
  mkdirSync(folder, { recursive: true })
  copyFileSync(join(TESTDATA, `${model}.onnx`), join(folder, 'model.onnx'))
  const args = [
    '--no-warnings',
    join(dir, 'app/dist/server/main.mjs'),
    'serve',
    `--model-dir=${folder}`,
    '--model-name=m',
    `--host=${HOST}`,
  ]
  const command = [process.execPath, ...args, `--port=${PORT}`, '--log-level=warn', ...flags]
  const [program, ...all] = onCore('server', ...command)
  const child = spawn(program, all, { cwd: ROOT, stdio: 'ignore' })
  const url = `http://${HOST}:${PORT}`
  const isReady = () =>
    fetch(`${url}/readyz`).then(
      (answer) => answer.ok,
      () => false,
    )
  const deadline = performance.now() + START_SECONDS * 1000
  while (!(await isReady())) {
    if (child.exitCode !== null || performance.now() > deadline) throw new Error(`serve did not start with ${model}`)
    await delay(5)
  }
  return {
    child,
    url,
    [Symbol.asyncDispose]: () => endNow(child),
  }
}

/** Measured after a second of the same, in which its code was compiled. */
async function warmed(options: WrkOptions): Promise<Measured> {
  await wrk({ ...options, seconds: 1 })
  return wrk(options)
}

async function againstBareModel(dir: string, rounds: number, seconds: number): Promise<void> {
  const json = luaScript(dir, 'json', PREDICT, {})
  const head = JSON.stringify({
    inputs: [{ name: 'x', shape: [1, 20], datatype: 'FP32', parameters: { binary_data_size: 80 } }],
    parameters: { binary_data_output: true },
  })
  const bytes = Buffer.concat([Buffer.from(head), Buffer.from(Float32Array.from(row).buffer)])
  const binary = luaScript(dir, 'binary', bytes, {
    'content-type': 'application/octet-stream',
    'inference-header-content-length': String(head.length),
  })
  const shares: { json: number; binary: number }[] = []
  for (let round = 0; round < rounds; round += 1) {
    const model = join(TESTDATA, 'mlp20.onnx')
    const [program, ...args] = onCore('server', process.execPath, 'bench/raw.ts', model, String(seconds))
    const raw = spawnSync(program, args, { cwd: ROOT })
    const bare = Number(String(raw.stdout))
    await using server = await serve(dir, 'mlp20')
    const asJson = await warmed({ url: `${server.url}/predict`, script: json, connections: 32, seconds })
    const asBytes = await warmed({ url: `${server.url}/v2/models/m/infer`, script: binary, connections: 32, seconds })
    shares.push({ json: asJson.requestsPerSecond / bare, binary: asBytes.requestsPerSecond / bare })
    console.log(
      `  bare model ${bare}/s, /predict ${Math.round(asJson.requestsPerSecond)}/s, V2 binary ${Math.round(asBytes.requestsPerSecond)}/s`,
    )
  }
  console.log(
    `/predict is ${median(shares.map((each) => each.json)).toFixed(2)} of the bare model, V2 binary ${median(shares.map((each) => each.binary)).toFixed(2)}`,
  )
}

async function alone(dir: string, rounds: number, seconds: number): Promise<void> {
  const script = luaScript(dir, 'json', PREDICT, {})
  const ratios: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const p50 = async (size: number) => {
      await using server = await serve(dir, 'mlp20', `--batch-max-size=${size}`)
      await wrk({ url: `${server.url}/predict`, script, connections: 1, seconds: 1 })
      return (await wrk({ url: `${server.url}/predict`, script, connections: 1, seconds })).p50Ms
    }
    ratios.push((await p50(64)) / (await p50(1)))
  }
  console.log(`p50 of one connection with batching is ${median(ratios).toFixed(2)} times that without`)
}

async function starting(dir: string, rounds: number): Promise<void> {
  const starts: number[] = []
  const resident: number[] = []
  const empty: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const before = performance.now()
    const [program, ...args] = onCore('server', process.execPath, '--eval', '')
    spawnSync(program, args)
    const begun = performance.now()
    empty.push(begun - before)
    await using server = await serve(dir, 'mlp20')
    const answer = await fetch(`${server.url}/predict`, {
      method: 'POST',
      body: PREDICT,
      headers: { 'content-type': 'application/json' },
    })
    if (!answer.ok) throw new Error(`/predict answers ${answer.status}`)
    starts.push(performance.now() - begun)
    const status = readFileSync(`/proc/${server.child.pid ?? 0}/status`, 'utf8')
    resident.push((Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024) / 1e6)
  }
  console.log(
    `start to first answer ${Math.round(median(starts))} ms as in the image (an empty program of Node: ${Math.round(median(empty))} ms), resident memory then ${Math.round(median(resident))} MB`,
  )
}

async function saturated(dir: string, rounds: number, seconds: number): Promise<void> {
  await using server = await serve(dir, 'rounds', '--model-thread=always', '--request-deadline-ms=2000')
  const target = { host: HOST, port: PORT, path: '/predict', body: HEAVY }
  const livez = { host: HOST, port: PORT, path: '/livez' }
  await load({ ...target, connections: 8, seconds: 1 })
  const seen: { runMs: number; livezMs: number; goodput: number }[] = []
  // The server's core is kept awake by the model.
  await using _awake = await coresAwake('load')
  for (let round = 0; round < rounds; round += 1) {
    const { result: peak, p99Ms: livezMs } = await probedWhile(livez, () =>
      load({ ...target, connections: SATURATING, seconds: 2 * seconds }),
    )
    const runMs = 1000 / peak.requestsPerSecond
    const { answered, refusedMs, late, failed } = await offered(server.url, 2 * peak.requestsPerSecond, 2 * seconds)
    const goodput = answered / (2 * seconds) / peak.requestsPerSecond
    seen.push({ runMs, livezMs, goodput })
    console.log(
      `  ${runMs.toFixed(1)} ms a run, ${peak.failures} failed; /livez p99 ${livezMs.toFixed(1)} ms; offered twice as much: ${percent(goodput)} answered, ${refusedMs.length} refused (p99 ${quantile(refusedMs, 0.99).toFixed(0)} ms), ${late} told at their deadline, ${failed} failed`,
    )
  }
  const middle = (of: 'runMs' | 'livezMs' | 'goodput') => median(seen.map((each) => each[of]))
  console.log(
    `a model of ${middle('runMs').toFixed(1)} ms a run, saturated: /livez p99 ${middle('livezMs').toFixed(1)} ms; offered twice as much, ${percent(middle('goodput'))} of the peak are answered`,
  )
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`
}

/** Sends at a rate, whether answers come or not: how many were answered while it did, how long refusals by 429 took (sorted), how many were 503, and what else. */
async function offered(url: string, perSecond: number, seconds: number) {
  let answered = 0
  let late = 0
  let failed = 0
  const refusedMs: number[] = []
  const begun = performance.now()
  const ask = async () => {
    const askedAt = performance.now()
    const answer = await fetch(`${url}/predict`, {
      method: 'POST',
      body: HEAVY,
      headers: { 'content-type': 'application/json' },
    })
    await answer.arrayBuffer()
    if (answer.status === 429) refusedMs.push(performance.now() - askedAt)
    else if (answer.status === 503) late += 1
    else if (!answer.ok) failed += 1
    else if (performance.now() - begun < seconds * 1000) answered += 1
  }
  const pending: Promise<void>[] = []
  for (let sent = 0; performance.now() - begun < seconds * 1000; sent += 1) {
    const at = begun + (sent * 1000) / perSecond
    if (at > performance.now()) await delay(at - performance.now())
    pending.push(ask().catch(() => void (failed += 1)))
  }
  await Promise.all(pending)
  refusedMs.sort((a, b) => a - b)
  return { answered, refusedMs, late, failed }
}

function luaScript(
  dir: string,
  name: string,
  body: string | Buffer,
  headers: Readonly<Record<string, string>>,
): string {
  const path = join(dir, `${name}.lua`)
  const escaped = [...Buffer.from(body)].map((byte) => `\\${String(byte).padStart(3, '0')}`).join('')
  const lines = Object.entries({ 'content-type': 'application/json', ...headers }).map(
    ([key, value]) => `wrk.headers["${key}"] = "${value}"`,
  )
  writeFileSync(path, ['wrk.method = "POST"', `wrk.body = "${escaped}"`, ...lines].join('\n'))
  return path
}
