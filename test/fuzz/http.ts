import { connect } from 'node:net'
import { attackProgram, HOST, PORT, type Campaign, type FuzzOptions } from './program.ts'
import { attack, type Attack } from './requests.ts'

/** A client that has sent all that it wants waits for so long. */
const PATIENCE_MS = 400
const CONNECTIONS = 64

/** @returns what was found, one line each */
export function fuzzHttp(options: FuzzOptions): Promise<string[]> {
  const make: Campaign['make'] = async (random, size, count) => {
    const batch = Array.from({ length: size }, () => attack(random))
    const answers = await Promise.all(batch.map(send))
    return answers.flatMap((heard, index) => faultsIn(heard, batch[index], count))
  }
  return attackProgram({ what: 'requests', atOnce: CONNECTIONS, make }, options)
}

function faultsIn(heard: string, asked: Attack | undefined, count: (outcome: string) => void): string[] {
  for (const [, status = ''] of heard.matchAll(/HTTP\/1\.1 (\d{3}) /g)) count(status)
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
