/**
 * Penstock's server beside those that people use, in one run: the servers are measured in turn, round after round, so that whatever else
 * the machine does meets all of them. Each server has the first core, the load the second.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { pythonWith } from '../test/python.ts'
import { coresAwake, hasTools, onCore } from './awake.ts'
import { hasEnded } from './child.ts'
import { processorSeconds } from './processor-time.ts'
import { median } from './statistics.ts'
import { wrk, type Measured } from './wrk.ts'

const HOST = '127.0.0.1'
const ROOT = join(import.meta.dirname, '..')
const PEERS = join(import.meta.dirname, 'peers')
const START_SECONDS = 90
const STOP_SECONDS = 10
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const INTERRUPTED = 130
const CONNECTIONS = 32
const IDLE_FOR_MS = 200
/** Of a core: some servers look around all the time. */
const IDLE_SHARE = 0.15

export interface PeersOptions {
  readonly rounds: number
  readonly seconds: number
  /** Names of servers that are measured beside Penstock; all when there are none. */
  readonly only: readonly string[]
}

interface Question {
  readonly path: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

interface Contestant {
  readonly name: string
  readonly port: number
  readonly command: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly question: Question
  /** The predicted class in an answer, to see that all of them compute the same. */
  readonly classOf: (answer: unknown) => unknown
}

interface Running {
  readonly contestant: Contestant
  /** The first of its processes. */
  readonly child: ChildProcess
}

interface Round extends Measured {
  /** That the server took over a request, in microseconds. */
  readonly processorUs: number
}

const TESTDATA = join(ROOT, 'server-image/model/testdata')
const MODELS = [
  { title: 'a small network of 20 floats', model: 'mlp20', folder: TESTDATA },
  { title: 'a random forest of 100 trees', model: 'forest20', folder: TESTDATA },
  { title: 'a network that takes some 20 ms a row', model: 'heavy20', folder: PEERS },
] as const

export async function benchPeers({ rounds, seconds, only }: PeersOptions): Promise<void> {
  if (!hasTools()) return
  const pythons = await pythonsOf(only)
  for (const { title, model, folder } of MODELS) {
    console.log(
      `\n${title} (${model}), ${CONNECTIONS} connections, ${rounds} rounds of ${seconds} s, one core for each server`,
    )
    await using field = await startAll(model, folder, pythons)
    await field.checkAlike()
    await using _awake = await coresAwake('server', 'load')
    table(await field.measure(rounds, seconds))
  }
}

const KINDS = ['fastapi', 'mlserver', 'kserve', 'bentoml'] as const
type Kind = (typeof KINDS)[number]

/** A peer that cannot be installed is left out, and said so. */
async function pythonsOf(only: readonly string[]): Promise<ReadonlyMap<Kind, string>> {
  const pythons = new Map<Kind, string>()
  for (const kind of KINDS.filter((each) => only.length === 0 || only.includes(each))) {
    const options = { name: `bench-${kind}`, requirements: join(PEERS, `requirements-${kind}.txt`) }
    const python = await pythonWith(options).catch((error: unknown) =>
      console.log(`${kind} cannot be installed: ${String(error).slice(0, 300)}`),
    )
    if (python === undefined) console.log(`${kind} is left out`)
    else pythons.set(kind, python)
  }
  return pythons
}

function contestants(model: string, dir: string, pythons: ReadonlyMap<Kind, string>): Contestant[] {
  const row = Array.from({ length: 20 }, (_, index) => Math.round(Math.sin(index) * 1e4) / 1e4)
  const rows = JSON.stringify({ features: row })
  const plain: Question = { path: '/predict', body: rows }
  const predicted = (answer: unknown) => (answer as { prediction: unknown }).prediction
  const input = model === 'forest20' ? 'X' : 'x'
  const tensor = { name: input, shape: [1, 20], datatype: 'FP32' }
  const tensors: Question = { path: '/v2/models/m/infer', body: JSON.stringify({ inputs: [{ ...tensor, data: row }] }) }
  const firstOutput = (answer: unknown) =>
    largest((answer as { outputs: { shape: number[]; data: number[] }[] }).outputs[0])
  const serve = [
    'server-image/main.ts',
    'serve',
    `--model-dir=${dir}`,
    '--model-name=m',
    `--host=${HOST}`,
    '--log-level=warn',
  ]
  const node = (port: number, ...flags: string[]) => [
    process.execPath,
    '--no-warnings',
    ...serve,
    `--port=${port}`,
    ...flags,
  ]
  const all: Contestant[] = [
    { name: 'Penstock /predict', port: 18_600, command: node(18_600), question: plain, classOf: predicted },
    { name: 'Penstock V2 JSON', port: 18_601, command: node(18_601), question: tensors, classOf: firstOutput },
  ]
  const uvicorn = (python: string, port: number, app: string) => [
    python,
    '-m',
    'uvicorn',
    `${app}:app`,
    '--app-dir',
    PEERS,
    '--host',
    HOST,
    '--port',
    String(port),
    '--no-access-log',
    '--log-level',
    'warning',
  ]
  const fastapi = pythons.get('fastapi')
  if (fastapi !== undefined) {
    all.push({
      name: 'FastAPI, typical',
      port: 18_602,
      command: uvicorn(fastapi, 18_602, 'fastapi_typical'),
      question: plain,
      classOf: predicted,
    })
    all.push({
      name: 'FastAPI, lean',
      port: 18_603,
      command: uvicorn(fastapi, 18_603, 'fastapi_lean'),
      question: plain,
      classOf: predicted,
    })
  }
  const mlserver = pythons.get('mlserver')
  if (mlserver !== undefined) {
    all.push({
      name: 'MLServer',
      port: 18_604,
      command: [join(mlserver, '../mlserver'), 'start', mlserverFolder(dir)],
      question: tensors,
      classOf: (answer) => (answer as { outputs: { data: number[] }[] }).outputs[0]?.data[0],
    })
  }
  const kserve = pythons.get('kserve')
  if (kserve !== undefined) {
    const command = [kserve, join(PEERS, 'kserve_model.py')]
    const rowsOfV1: Question = { path: '/v1/models/m:predict', body: JSON.stringify({ instances: [row] }) }
    all.push({
      name: 'KServe Python server, V1',
      port: 18_605,
      command,
      env: { BENCH_PORT: '18605' },
      question: rowsOfV1,
      classOf: (answer) => (answer as { predictions: number[] }).predictions[0],
    })
    all.push({
      name: 'KServe Python server, V2',
      port: 18_607,
      command,
      env: { BENCH_PORT: '18607' },
      question: tensors,
      classOf: (answer) => (answer as { outputs: { data: number[] }[] }).outputs[0]?.data[0],
    })
  }
  const bentoml = pythons.get('bentoml')
  if (bentoml !== undefined) {
    all.push({
      name: 'BentoML',
      port: 18_606,
      command: [
        join(bentoml, '../bentoml'),
        'serve',
        'bentoml_service:Onnx',
        '--host',
        HOST,
        '--port',
        '18606',
        '--working-dir',
        PEERS,
      ],
      question: plain,
      classOf: predicted,
    })
  }
  return all
}

function mlserverFolder(dir: string): string {
  const folder = join(dir, 'mlserver')
  mkdirSync(folder, { recursive: true })
  const settings = {
    host: HOST,
    http_port: 18_604,
    grpc_port: 18_614,
    metrics_port: 18_624,
    parallel_workers: 0,
    debug: false,
  }
  writeFileSync(join(folder, 'settings.json'), JSON.stringify(settings))
  writeFileSync(
    join(folder, 'model-settings.json'),
    JSON.stringify({ name: 'm', implementation: 'mlserver_model.OnnxModel' }),
  )
  return folder
}

/** Labels are what they are; of scores, the place of the largest. */
function largest(
  output: { readonly shape: readonly number[]; readonly data: readonly number[] } | undefined,
): number | undefined {
  const { shape = [], data = [] } = output ?? {}
  return shape.length === 1 ? data[0] : data.indexOf(Math.max(...data))
}

async function startAll(model: string, folder: string, pythons: ReadonlyMap<Kind, string>) {
  const dir = mkdtempSync(join(tmpdir(), 'penstock-bench-'))
  const modelPath = join(dir, 'model.onnx')
  copyFileSync(join(folder, `${model}.onnx`), modelPath)
  const running: Running[] = []
  // Their groups are their own, so that Ctrl-C and `kill` reach the benchmark alone.
  const leave = onInterrupt(() => {
    for (const { child } of running) endGroup(child)
    rmSync(dir, { recursive: true, force: true })
  })
  const stop = async () => {
    for (const { child } of running) {
      if (hasEnded(child)) continue
      const exit = once(child, 'exit')
      // Some start processes of their own, and take them along when they are asked to end; what is left of the group ends by force.
      child.kill('SIGTERM')
      await Promise.race([exit, delay(STOP_SECONDS * 1000)])
      endGroup(child)
      await exit
    }
    rmSync(dir, { recursive: true, force: true })
    leave()
  }
  const field = contestants(model, dir, pythons)
  try {
    for (const contestant of field) {
      const [program, ...args] = onCore('server', ...contestant.command)
      const env = { ...process.env, BENCH_MODEL: modelPath, PYTHONPATH: PEERS, OMP_NUM_THREADS: '1', ...contestant.env }
      const child = spawn(program, args, { cwd: ROOT, stdio: 'ignore', env, detached: true })
      running.push({ contestant, child })
      await untilAnswering(contestant, child)
    }
  } catch (error) {
    await stop()
    throw error
  }
  return {
    checkAlike: () => checkAlike(field),
    measure: (rounds: number, seconds: number) => measureAll(running, { rounds, seconds, dir }),
    [Symbol.asyncDispose]: stop,
  }
}

function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Nothing was left.
  }
}

/** @returns what makes an interrupt an ordinary one again */
function onInterrupt(end: () => void): () => void {
  const interrupted = () => {
    end()
    process.exit(INTERRUPTED)
  }
  for (const signal of SIGNALS) process.once(signal, interrupted)
  return () => {
    for (const signal of SIGNALS) process.off(signal, interrupted)
  }
}

async function ask({ name, port, question: { path, body, headers } }: Contestant): Promise<unknown> {
  const response = await fetch(`http://${HOST}:${port}${path}`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
  })
  if (!response.ok) throw new Error(`${name} answers ${response.status}: ${(await response.text()).slice(0, 300)}`)
  return response.json()
}

async function untilAnswering(contestant: Contestant, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + START_SECONDS * 1000
  for (;;) {
    const failure = await ask(contestant).then(
      () => undefined,
      (error: unknown) => error as Error,
    )
    // Whoever else may hold the port is not the one to be measured.
    if (child.exitCode !== null) throw new Error(`${contestant.name} ended with code ${child.exitCode}`)
    if (failure === undefined) return
    if (performance.now() > deadline)
      throw new Error(`${contestant.name} did not start in ${START_SECONDS} s: ${failure.message}`)
    await delay(200)
  }
}

async function checkAlike(field: readonly Contestant[]): Promise<void> {
  const classes = await Promise.all(
    field.map(async (each) => ({ name: each.name, class: each.classOf(await ask(each)) })),
  )
  const different = classes.filter((each) => each.class !== classes[0]?.class)
  if (different.length > 0) throw new Error(`they do not answer alike: ${JSON.stringify(classes)}`)
}

interface Plan {
  readonly rounds: number
  readonly seconds: number
  readonly dir: string
}

async function measureAll(
  field: readonly Running[],
  { rounds, seconds, dir }: Plan,
): Promise<ReadonlyMap<string, Round[]>> {
  const results = new Map<string, Round[]>(field.map(({ contestant }) => [contestant.name, []]))
  for (let round = 0; round <= rounds; round += 1) {
    for (const { contestant, child } of field) {
      const script = join(dir, 'ask.lua')
      writeFileSync(script, luaOf(contestant.question))
      // The round before the first warms them up.
      const url = `http://${HOST}:${contestant.port}${contestant.question.path}`
      const before = await processorSeconds(child.pid ?? 0)
      const measured = await wrk({ url, script, connections: CONNECTIONS, seconds: round === 0 ? 2 : seconds })
      const used = (await processorSeconds(child.pid ?? 0)) - before
      const processorUs = (1e6 * used) / measured.requests
      if (round > 0) results.get(contestant.name)?.push({ ...measured, processorUs })
      await untilIdle(child.pid ?? 0)
    }
    if (round > 0) console.log(`  round ${round} of ${rounds}`)
  }
  return results
}

/** What was asked last is computed still, though nobody waits for the answer: the next server is not to share its core with that. */
async function untilIdle(pid: number): Promise<void> {
  const deadline = performance.now() + STOP_SECONDS * 1000
  for (let before = NaN; performance.now() < deadline; await delay(IDLE_FOR_MS)) {
    const seconds = await processorSeconds(pid)
    if (seconds - before < IDLE_SHARE * (IDLE_FOR_MS / 1000)) return
    before = seconds
  }
}

function luaOf({ body, headers }: Question): string {
  const lines = Object.entries({ 'content-type': 'application/json', ...headers }).map(
    ([name, value]) => `wrk.headers["${name}"] = "${value}"`,
  )
  return [`wrk.method = "POST"`, `wrk.body = ${JSON.stringify(body)}`, ...lines].join('\n')
}

function table(results: ReadonlyMap<string, readonly Round[]>): void {
  const rows = [...results].map(([name, rounds]) => {
    const middle = (of: keyof Round) => median(rounds.map((each) => each[of]))
    return {
      name,
      perSecond: middle('requestsPerSecond'),
      p50Ms: middle('p50Ms'),
      p99Ms: middle('p99Ms'),
      processorUs: middle('processorUs'),
    }
  })
  const [ours] = rows
  console.log(
    `\n| server | requests a second | p50 ms | p99 ms | processor time of a request, us | Penstock /predict is | processor time beside Penstock's |
|---|---|---|---|---|---|---|`,
  )
  for (const { name, perSecond, p50Ms, p99Ms, processorUs } of rows) {
    const faster = ((ours?.perSecond ?? NaN) / perSecond).toFixed(1)
    const less = (processorUs / (ours?.processorUs ?? NaN)).toFixed(1)
    const measured = [perSecond.toFixed(0), p50Ms.toFixed(2), p99Ms.toFixed(2), processorUs.toFixed(0)]
    console.log(`| ${[name, ...measured, `${faster} times as fast`, `${less} times`].join(' | ')} |`)
  }
}
