/** The program itself, as an init container or a resolve Job runs it: with its own environment, and judged by what it leaves behind. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ResolveFailure, ResolveResult } from '../../protocol/resolve.ts'

const PROGRAM = join(import.meta.dirname, '../../server-image/main.ts')
/** Names of objects, with everything that a path, a query or a signature could take for something else. */
export const ODD_NAMES = [
  'a b/model (1).onnx',
  'a+b/c%20d/100%.onnx',
  'mödel/模型 🙂.onnx',
  `it's=a&b,c;d:e$f@g!h~i*j.onnx`,
  'what?is#this.onnx',
]

/** Flags with which 300,000 bytes from this machine are not to be fetched, and what is told then. */
export const REFUSED_FLAGS: readonly (readonly [flag: string, told: RegExp])[] = [
  ['--max-bytes=299999', /^TooLarge: .*300000 bytes/],
  [`--sha256=${'a'.repeat(64)}`, /^DigestMismatch: .*overwritten or damaged/],
  ['--deny-private', /^Forbidden: .*127\.0\.0\.1/],
]

/** Variables whose values must not come out again, whatever happens. */
const IS_SECRET = /TOKEN|PASSWORD|SECRET|KEY|CONNECTION_STRING|CREDENTIALS|AUTH_CONFIG/

export interface Asked {
  readonly uri: string
  /** All that the program knows beside `PATH`. */
  readonly env?: Readonly<Record<string, string>>
  /** More flags, for example `--inspect`. */
  readonly flags?: readonly string[]
  /** What must not come out again beside the variables' values: parts of them, or of the URI. */
  readonly secrets?: readonly string[]
}

export interface Left {
  readonly code: number | null
  /** What it wrote to its two outputs. */
  readonly output: string
  /** The file that it put into its place. */
  readonly bytes: Buffer | undefined
  /** The termination log; success has something to say with `--inspect` only. */
  readonly result: ResolveResult | undefined
  /** Files that it left in the folder beside those two. */
  readonly strays: readonly string[]
}

/** @throws Error when a secret of the environment is in anything that it left */
export async function fetchByProgram({ uri, env = {}, flags = [], secrets = [] }: Asked): Promise<Left> {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-fetch-'))
  const [out, log] = [join(folder, 'model.onnx'), join(folder, 'termination-log')]
  try {
    const args = [PROGRAM, 'fetch', `--uri=${uri}`, `--out=${out}`, `--termination-log=${log}`, ...flags]
    const { code, output } = await run(args, env)
    const [bytes, words] = await Promise.all([readIfThere(out), readIfThere(log)])
    const names = await readdir(folder)
    const text = words?.toString('utf8')
    refuseSecrets(`${output}\n${text ?? ''}`, { env, secrets })
    return {
      code,
      output,
      bytes,
      result: text === undefined ? undefined : (JSON.parse(text) as ResolveResult),
      strays: names.filter((name) => ![out, log].includes(join(folder, name))),
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** The URI that names these bytes for good, from the last line of its log. @throws Error when these bytes were not brought */
export async function fetchedUri(asked: Asked, expected: Buffer): Promise<string> {
  const { code, output, bytes, strays } = await fetchByProgram(asked)
  const sha256 = createHash('sha256').update(expected).digest('hex')
  const uri = new RegExp(`^Fetched (.+): ${expected.length} bytes, sha256 ${sha256}`, 'm').exec(output)?.[1]
  if (code === 0 && uri !== undefined && bytes?.equals(expected) === true && strays.length === 0) return uri
  throw new Error(`${asked.uri} was not fetched (exit code ${code}; beside it: ${strays.join()}):\n${output}`)
}

/** What the operator is told when nothing could be fetched. @throws Error when something was, or more than one line is told */
export async function failureOf(asked: Asked): Promise<ResolveFailure> {
  const { code, output, bytes, result, strays } = await fetchByProgram(asked)
  const isOneLine = result?.ok === false && !/[\r\n]/.test(result.message) && result.message.endsWith('.')
  if (code === 1 && isOneLine && bytes === undefined && strays.length === 0) {
    if (output.includes(`${result.reason}: ${result.message}`)) return result
  }
  throw new Error(`${asked.uri} did not fail as it should (exit code ${code}):\n${output}`)
}

/** `REASON: MESSAGE` of a fetch that fails as it should. @throws Error as `failureOf` */
export async function refusalOf(asked: Asked): Promise<string> {
  const { reason, message } = await failureOf(asked)
  return `${reason}: ${message}`
}

function run(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, output }))
  })
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch {
    return undefined
  }
}

function refuseSecrets(text: string, { env, secrets }: Required<Pick<Asked, 'env' | 'secrets'>>): void {
  const hidden = Object.entries(env).filter(([name]) => IS_SECRET.test(name))
  for (const [name, value] of [...hidden, ...secrets.map((secret) => ['a secret', secret] as const)]) {
    const spellings = [value, encodeURIComponent(value), Buffer.from(value).toString('base64')]
    if (spellings.some((spelling) => spelling !== '' && text.includes(spelling))) {
      throw new Error(`The value of ${name} came out again.`)
    }
  }
}
