import { connect } from 'node:net'
import { AttackedProgram, HOST, PORT } from './program.ts'
import { Random } from './random.ts'
import { attack, type Attack } from './requests.ts'

/** A client that has sent all that it wants waits for so long. */
const PATIENCE_MS = 400
const CONNECTIONS = 64
/** Findings after which it is not worth going on. */
const MANY = 10

export interface FuzzOptions {
  readonly requests: number
  readonly seed: number
}

/** @returns what was found, one line each */
export async function fuzzHttp({ requests, seed }: FuzzOptions): Promise<string[]> {
  const program = new AttackedProgram()
  const findings: string[] = []
  try {
    await program.ready()
    const statuses = new Map<string, number>()
    const attacks = new Random(seed)
    const report = program.progress('requests', requests)
    for (let sent = 0; sent < requests && !program.isOver && findings.length <= MANY;) {
      const batch = Array.from({ length: Math.min(CONNECTIONS, requests - sent) }, () => attack(attacks))
      const answers = await Promise.all(batch.map(send))
      answers.forEach((heard, index) => findings.push(...faultsIn(heard, batch[index], statuses)))
      sent += batch.length
      report(sent)
    }
    console.log(`  answers: ${counts(statuses)}`)
    findings.push(...(await program.end()))
  } finally {
    program.kill()
  }
  return findings
}

export function counts(kinds: ReadonlyMap<string, number>): string {
  return [...kinds]
    .sort()
    .map(([kind, count]) => `${kind}: ${count}`)
    .join(', ')
}

function faultsIn(heard: string, asked: Attack | undefined, statuses: Map<string, number>): string[] {
  for (const [, status = ''] of heard.matchAll(/HTTP\/1\.1 (\d{3}) /g))
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
  return /HTTP\/1\.1 500 /.test(heard) ? [`500 for ${shown(asked)}: ${heard.slice(-300)}`] : []
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

function shown(found: Attack | undefined): string {
  return found === undefined
    ? 'nothing'
    : `${found.kind} ${JSON.stringify(found.bytes.toString('latin1').slice(0, 400))}`
}
