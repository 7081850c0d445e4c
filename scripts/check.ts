/** `npm run check`: every static check, side by side, with one line for each; exits 1 if any of them fails. */
import { spawn } from 'node:child_process'

interface Check {
  readonly name: string
  readonly command: readonly string[]
}

const checks: readonly Check[] = [
  { name: 'generated files match the CRD', command: ['node', 'scripts/generate.ts', '--check'] },
  { name: 'types', command: ['tsc', '--noEmit'] },
  { name: 'lint', command: ['eslint', '.', '--max-warnings=0'] },
  { name: 'format', command: ['prettier', '--check', '--log-level=warn', '.'] },
  { name: 'unused exports and dependencies', command: ['knip', '--no-progress'] },
  { name: 'duplicate lines', command: ['jscpd', '--silent', '--exitCode', '1', '.'] },
]

interface Outcome {
  readonly check: Check
  readonly ok: boolean
  readonly output: string
  readonly seconds: number
}

async function run(check: Check): Promise<Outcome> {
  const startedAt = performance.now()
  const [command = '', ...args] = check.command
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const code = await new Promise<number>((resolve) => {
    child.on('error', () => resolve(127))
    child.on('close', (status) => resolve(status ?? 1))
  })
  return { check, ok: code === 0, output, seconds: (performance.now() - startedAt) / 1000 }
}

let failed = 0
for (const check of checks) {
  const outcome = await run(check)
  console.log(`${outcome.ok ? 'ok  ' : 'FAIL'} ${outcome.check.name} (${outcome.seconds.toFixed(1)} s)`)
  if (!outcome.ok) {
    failed += 1
    console.log(outcome.output)
  }
}
process.exitCode = failed === 0 ? 0 : 1
