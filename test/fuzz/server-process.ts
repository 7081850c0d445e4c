import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { attack, type Attack } from './requests.ts'
import { Random } from './random.ts'

const ROOT = join(import.meta.dirname, '../..')
const PORT = 18_099
const HOST = '127.0.0.97'
const ALIVE = `http://${HOST}:${PORT}`
/** A client that has sent all that it wants waits for so long. */
const PATIENCE_MS = 400
const CONNECTIONS = 64
/** Of a request, and of all bodies together: the right request at the end needs all of it, so that not a byte of room may have been lost. */
const ROOM_BYTES = 1024 * 1024
/** Findings after which it is not worth going on. */
const MANY = 10
/** Resident memory may differ by so much between a warm server and one that has been attacked. */
const MEMORY_SLACK_BYTES = 96 * 1024 * 1024

export interface ServerFuzzOptions {
  readonly requests: number
  readonly seed: number
}

/** @returns what was found, one line each */
export async function fuzzServer({ requests, seed }: ServerFuzzOptions): Promise<string[]> {
  const dir = mkdtempSync(join(tmpdir(), 'penstock-fuzz-'))
  cpSync(join(ROOT, 'server-image/model/testdata/mlp20.onnx'), join(dir, 'model.onnx'))
  const args = [
    'serve',
    `--model-dir=${dir}`,
    '--model-name=m',
    '--model-version=7',
    `--port=${PORT}`,
    `--host=${HOST}`,
    `--max-body-bytes=${ROOM_BYTES}`,
    `--max-inflight-body-mib=${ROOM_BYTES / 1024 / 1024}`,
  ]
  const program = spawn(process.execPath, [join(ROOT, 'server-image/main.ts'), ...args, '--log-level=error'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  program.stdout.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4000)))
  program.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-4000)))
  let exited = false
  program.once('exit', () => (exited = true))
  const findings: string[] = []
  try {
    await ready()
    const statuses = new Map<string, number>()
    let warmBytes = 0
    const attacks = new Random(seed)
    const report = progressOf(requests, (sent) => {
      const bytes = residentBytes(program.pid)
      if (warmBytes === 0) warmBytes = bytes
      console.log(`  ${sent} of ${requests} requests, ${Math.round(bytes / 1_048_576)} MiB`)
    })
    for (let sent = 0; sent < requests && !exited && findings.length <= MANY;) {
      const batch = Array.from({ length: Math.min(CONNECTIONS, requests - sent) }, () => attack(attacks))
      const answers = await Promise.all(batch.map(send))
      answers.forEach((heard, index) => findings.push(...faultsIn(heard, batch[index], statuses)))
      sent += batch.length
      report(sent)
    }
    console.log(
      `  answers: ${[...statuses]
        .sort()
        .map(([status, count]) => `${status}: ${count}`)
        .join(', ')}`,
    )
    if (exited) findings.push(`the server ended: ${said}`)
    else findings.push(...(await aftermath(warmBytes, program.pid)))
  } finally {
    program.kill('SIGKILL')
    rmSync(dir, { recursive: true, force: true })
  }
  if (said.includes('fault of the server')) findings.push(`the log tells of a fault: ${said.slice(-600)}`)
  return findings
}

/** Calls back each time that another tenth is done. */
function progressOf(total: number, onTenth: (done: number) => void): (done: number) => void {
  let tenths = 0
  return (done) => {
    const reached = Math.floor((done * 10) / total)
    if (reached > tenths) onTenth(done)
    tenths = reached
  }
}

function faultsIn(heard: string, asked: Attack | undefined, statuses: Map<string, number>): string[] {
  for (const [, status = ''] of heard.matchAll(/HTTP\/1\.1 (\d{3}) /g))
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
  return /HTTP\/1\.1 500 /.test(heard) ? [`500 for ${shown(asked)}: ${heard.slice(-300)}`] : []
}

async function aftermath(warmBytes: number, pid: number | undefined): Promise<string[]> {
  const findings: string[] = []
  await delay(1500)
  const features = Array.from({ length: 20 }, (_, index) => index)
  const answer = await fetch(`${ALIVE}/predict`, {
    method: 'POST',
    body: JSON.stringify({ features }).padEnd(ROOM_BYTES),
    headers: { 'content-type': 'application/json' },
    signal: AbortSignal.timeout(5000),
  }).catch((error: unknown) => ({ status: String(error) }))
  if (answer.status !== 200) findings.push(`afterwards a right request gets ${answer.status}`)
  const grown = residentBytes(pid) - warmBytes
  if (grown > MEMORY_SLACK_BYTES) findings.push(`memory grew by ${Math.round(grown / 1048576)} MiB`)
  return findings
}

async function ready(): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    const status = await fetch(`${ALIVE}/readyz`).then(
      (answer) => answer.status,
      () => 0,
    )
    if (status === 200) return
    await delay(50)
  }
  throw new Error('the server did not become ready within ten seconds')
}

/** All that came back until the server closed the connection, or nothing more came. */
function send({ bytes, leavesEarly }: Attack): Promise<string> {
  return new Promise((resolve) => {
    let heard = ''
    const socket = connect({ port: PORT, host: HOST }, () => {
      if (!leavesEarly) return void socket.write(bytes)
      socket.write(bytes.subarray(0, bytes.length >> 1))
      socket.destroy()
    })
    const idle = setTimeout(() => socket.destroy(), PATIENCE_MS)
    socket.on('data', (chunk) => {
      heard = (heard + chunk.toString('latin1')).slice(-20_000)
      idle.refresh()
      // Whatever follows one whole answer is of interest only when more than one was asked for.
      if (heard.includes('\r\n\r\n') && !bytes.includes('HTTP/1', 20)) setTimeout(() => socket.destroy(), 5)
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      clearTimeout(idle)
      resolve(heard)
    })
  })
}

function residentBytes(pid: number | undefined): number {
  const text = readFileSync(`/proc/${pid ?? 0}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(text)?.[1] ?? 0) * 1024
}

function shown(found: Attack | undefined): string {
  return found === undefined
    ? 'nothing'
    : `${found.kind} ${JSON.stringify(found.bytes.toString('latin1').slice(0, 400))}`
}
