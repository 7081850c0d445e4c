import { spawn } from 'node:child_process'

/** Runs a program to its end, with `input` on its standard input: its trimmed standard output. @throws Error with what it said */
export type Tool = (args: readonly string[], input?: string) => Promise<string>

const SAID_CHARACTERS = 6000

export function toolAt(path: string, env: Readonly<Record<string, string>>): Tool {
  return async (args, input = '') => {
    const child = spawn(path, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
    // A program that ends without reading what it is given says why by itself.
    child.stdin.on('error', () => undefined)
    child.stdin.end(input)
    const status = await new Promise<number>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', (code) => resolve(code ?? 1))
    })
    if (status !== 0)
      throw new Error(`${args.join(' ')} failed (${status}):\n${`${stdout}\n${stderr}`.trim().slice(-SAID_CHARACTERS)}`)
    return stdout.trim()
  }
}
