/**
 * Asks the server of the same container whether it lives, for the `HEALTHCHECK` of Docker and Podman; Kubernetes has probes instead.
 * Host, port and scheme are those that the server was started with.
 */
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { serveFlagsCommand, type ServeFlags } from '../serve/flags.ts'

/** Less than the health check of the image may take. */
const PATIENCE_MS = 2_500

export function healthCheckCommand(): Command {
  return new Command('healthcheck')
    .description('ask the server of this container whether it lives; the exit code is 0 if it does')
    .argument('[flags...]', 'those of serve; default: those that the first process of the container was started with')
    .allowUnknownOption()
    .action(healthCheck)
}

async function healthCheck(given: readonly string[]): Promise<void> {
  const flags = given.length > 0 ? given : (flagsIn(firstCommandLine(), process.argv[1] ?? '') ?? [])
  const url = urlFor(flags)
  const trouble = await askAt(url)
  if (trouble === undefined) return
  console.error(`${url}: ${trouble}`)
  process.exitCode = 1
}

/** Arguments, each with its end; empty where there is no such file. */
function firstCommandLine(): string {
  try {
    return readFileSync('/proc/1/cmdline', 'utf8')
  } catch {
    return ''
  }
}

/**
 * The flags of `serve` in a command line of Linux, whatever stands before the program, for example an init.
 * @returns undefined when it is not this program that it starts
 */
export function flagsIn(commandLine: string, program: string): string[] | undefined {
  const words = commandLine.split('\0').slice(0, -1)
  const at = words.findIndex((word, index) => word === program && words[index + 1] === 'serve')
  return at === -1 ? undefined : words.slice(at + 2)
}

/** @returns what is wrong, if anything is */
async function askAt(url: string): Promise<string | undefined> {
  const { request } = url.startsWith('https:') ? await import('node:https') : await import('node:http')
  // The certificate bears the names that users have for the server, and this is none of them.
  const options = { rejectUnauthorized: false, agent: false as const, signal: AbortSignal.timeout(PATIENCE_MS) }
  return new Promise((resolve) => {
    const call = request(url, options, (answer) => {
      answer.resume()
      resolve(answer.statusCode === 200 ? undefined : `status ${answer.statusCode}`)
    })
    call.on('error', ({ message }) => resolve(message)).end()
  })
}

function urlFor(args: readonly string[]): string {
  const command = serveFlagsCommand().action(() => undefined)
  const { host, port, tlsCertFile } = command.parse(args, { from: 'user' }).opts<ServeFlags>()
  const address = reachable(host)
  const scheme = tlsCertFile === undefined ? 'http' : 'https'
  return `${scheme}://${address.includes(':') ? `[${address}]` : address}:${port}/livez`
}

/** An address that a server listens at, as one that can be asked. */
function reachable(host: string): string {
  if (host === '0.0.0.0' || host === '') return '127.0.0.1'
  return host === '::' ? '::1' : host
}
