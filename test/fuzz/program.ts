/** The model server as a process that is attacked, in batches, and what must be so when it is over. */
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { profileOf } from '../../server-image/monitor/profile-build.ts'
import { profileJson } from '../../server-image/monitor/profile.ts'
import { Random } from './random.ts'

const ROOT = join(import.meta.dirname, '../..')
export const HOST = '127.0.0.97'
export const PORT = 18_099
export const GRPC_PORT = 18_098
const URL_OF_HTTP = `http://${HOST}:${PORT}`
/** Of a request. */
const BODY_BYTES = 1024 * 1024
/** All bodies have room for so many of them: the right requests at the end need all of it, so that not a byte of room may have been lost. */
const BODIES = 4
/** Resident memory may differ by so much between a warm server and one that has been attacked. */
const MEMORY_SLACK_BYTES = 96 * 1024 * 1024

/** Findings after which it is not worth going on. */
const MANY = 10

export interface FuzzOptions {
  readonly requests: number
  readonly seed: number
}

export interface Campaign {
  /** What there are so many of, in words. */
  readonly what: string
  /** How many are made at once. */
  readonly atOnce: number
  /** Makes so many of them; counts what became of each. @returns what was found, one line each */
  readonly make: (random: Random, size: number, count: (outcome: string) => void) => Promise<string[]>
}

/** Attacks a server of its own until there were enough, or it is over, and looks at what is left. @returns what was found, one line each */
export async function attackProgram({ what, atOnce, make }: Campaign, options: FuzzOptions): Promise<string[]> {
  const program = new AttackedProgram()
  const findings: string[] = []
  try {
    await program.ready()
    const outcomes = new Map<string, number>()
    const count = (outcome: string) => void outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    const random = new Random(options.seed)
    const report = program.progress(what, options.requests)
    for (let sent = 0; sent < options.requests && !program.isOver && findings.length <= MANY;) {
      const size = Math.min(atOnce, options.requests - sent)
      findings.push(...(await make(random, size, count)))
      if (random.chance(0.05)) findings.push(...(await scrape()))
      sent += size
      report(sent)
    }
    const counts = [...outcomes].sort().map(([outcome, times]) => `${outcome}: ${times}`)
    console.log(`  outcomes: ${counts.join(', ')}`)
    findings.push(...(await program.end()))
  } finally {
    program.kill()
  }
  return findings
}

/** Of the model's twenty features: half of them have few values, half have many. */
function referenceProfile(): string {
  const features = Array.from({ length: 20 }, (_, column) =>
    profileOf({
      name: `f${column}`,
      cells: Array.from({ length: 100 }, (_row, row) => (column % 2 === 0 ? row % 5 : row / 100)),
    }),
  )
  return profileJson({ rows: 100, features })
}

const SCRAPED = ['/metrics', '/report', '/penstock/drift']

/** What operators look at must be there while the attack goes on. @returns what was found, one line each */
async function scrape(): Promise<string[]> {
  const findings: string[] = []
  for (const path of SCRAPED) {
    const status = await fetch(URL_OF_HTTP + path, { signal: AbortSignal.timeout(5000) }).then(
      async (answer) => (await answer.text()) && answer.status,
      (error: unknown) => String(error),
    )
    if (status !== 200) findings.push(`during the attack ${path} gets ${status}`)
  }
  return findings
}

async function askRightly(): Promise<number | string> {
  const features = Array.from({ length: 20 }, (_, index) => index)
  return fetch(`${URL_OF_HTTP}/predict`, {
    method: 'POST',
    body: JSON.stringify({ features }).padEnd(BODY_BYTES),
    headers: { 'content-type': 'application/json' },
    signal: AbortSignal.timeout(5000),
  }).then(
    ({ status }) => status,
    (error: unknown) => String(error),
  )
}

class AttackedProgram {
  readonly #dir = mkdtempSync(join(tmpdir(), 'penstock-fuzz-'))
  readonly #program
  #said = ''
  #isOver = false
  #warmBytes = 0

  constructor() {
    cpSync(join(ROOT, 'server-image/model/testdata/mlp20.onnx'), join(this.#dir, 'model.onnx'))
    const profile = join(this.#dir, 'profile.json')
    writeFileSync(profile, referenceProfile())
    const args = [
      'serve',
      `--model-dir=${this.#dir}`,
      '--model-name=m',
      '--model-version=7',
      `--port=${PORT}`,
      `--grpc-port=${GRPC_PORT}`,
      `--host=${HOST}`,
      `--max-body-bytes=${BODY_BYTES}`,
      `--max-inflight-body-mib=${(BODIES * BODY_BYTES) / 1024 / 1024}`,
      `--profile=${profile}`,
      '--drift-min-rows=1',
      '--log-level=error',
    ]
    this.#program = spawn(process.execPath, [join(ROOT, 'server-image/main.ts'), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [this.#program.stdout, this.#program.stderr])
      stream.on('data', (chunk: Buffer) => (this.#said = (this.#said + chunk.toString()).slice(-4000)))
    this.#program.once('exit', () => (this.#isOver = true))
  }

  /** True when it has ended by itself. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** @throws Error when it is not within ten seconds */
  async ready(): Promise<void> {
    for (let tries = 0; tries < 200; tries += 1) {
      const status = await fetch(`${URL_OF_HTTP}/readyz`).then(
        (answer) => answer.status,
        () => 0,
      )
      if (status === 200) return
      await delay(50)
    }
    throw new Error(`the server did not become ready within ten seconds: ${this.#said}`)
  }

  /** Says how far the attack is, each time that another tenth is done. The first of them is when the server is warm. */
  progress(what: string, total: number): (done: number) => void {
    let tenths = 0
    return (done) => {
      const reached = Math.floor((done * 10) / total)
      if (reached > tenths && !this.#isOver) {
        const bytes = this.#residentBytes()
        if (this.#warmBytes === 0) this.#warmBytes = bytes
        console.log(`  ${done} of ${total} ${what}, ${Math.round(bytes / 1_048_576)} MiB`)
      }
      tenths = reached
    }
  }

  /** Ends it. @returns what was found, one line each */
  async end(): Promise<string[]> {
    const findings = this.#isOver ? [`the server ended: ${this.#said.slice(-1500)}`] : await this.#aftermath()
    this.kill()
    if (this.#said.includes('fault of the server')) findings.push(`the log tells of a fault: ${this.#said.slice(-600)}`)
    return findings
  }

  kill(): void {
    this.#program.kill('SIGKILL')
    rmSync(this.#dir, { recursive: true, force: true })
  }

  async #aftermath(): Promise<string[]> {
    const findings: string[] = []
    await delay(1500)
    const statuses = await Promise.all(Array.from({ length: BODIES }, askRightly))
    if (this.#isOver) return [`the server ended: ${this.#said}`]
    const refused = statuses.find((status) => status !== 200)
    if (refused !== undefined) findings.push(`afterwards a right request gets ${refused}`)
    const grown = this.#residentBytes() - this.#warmBytes
    if (grown > MEMORY_SLACK_BYTES) findings.push(`memory grew by ${Math.round(grown / 1048576)} MiB`)
    return findings
  }

  #residentBytes(): number {
    const text = readFileSync(`/proc/${this.#program.pid ?? 0}/status`, 'utf8')
    return Number(/VmRSS:\s+(\d+) kB/.exec(text)?.[1] ?? 0) * 1024
  }
}
