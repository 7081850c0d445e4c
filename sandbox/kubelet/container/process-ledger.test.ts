import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { spawn } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, isAlive } from '../test-node.ts'
import { startProcess } from './local-process.ts'
import { ProcessLedger } from './process-ledger.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ledger-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const WAIT = 'setInterval(() => {}, 1000)'

/** A process of its own that starts a container with the given statements after it. */
function holder(then: string) {
  const source = `
    import { ProcessLedger } from ${JSON.stringify(join(import.meta.dirname, 'process-ledger.ts'))}
    import { startProcess } from ${JSON.stringify(join(import.meta.dirname, 'local-process.ts'))}
    const ledger = new ProcessLedger(${JSON.stringify(directory)})
    const argv = [process.execPath, '-e', ${JSON.stringify(WAIT)}]
    const child = await startProcess({ argv, environment: new Map(), directory: '/' }, ledger, () => {})
    console.log(child.pid)
    ${then}
  `
  return spawn(process.execPath, ['--input-type=module-typescript', '-e', source], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
}

async function firstLine(stream: AsyncIterable<Buffer>): Promise<string> {
  for await (const chunk of stream) return chunk.toString().trim()
  throw new Error('no line')
}

describe('the process ledger', () => {
  test.each([
    ['is killed', WAIT],
    ['exits', 'process.exit(1)'],
    ['crashes', 'setImmediate(() => { throw new Error("meant to happen") })'],
  ])('no container outlives a kubelet that %s', async (how, then) => {
    const kubelet = holder(then)
    const pid = Number(await firstLine(kubelet.stdout))
    expect(pid).toBeGreaterThan(1)
    if (how === 'is killed') kubelet.kill('SIGKILL')
    await eventually(() => !isAlive(pid))
  })

  test('what was left all the same is killed at the next start, and only that', async () => {
    const first = new ProcessLedger(directory)
    const environment = new Map<string, string>()
    const argv = [process.execPath, '-e', WAIT]
    const left = await startProcess({ argv, environment, directory: '/' }, first, () => undefined)
    const other = await startProcess({ argv, environment, directory: '/' }, first, () => undefined)
    await writeFile(join(directory, String(other.pid)), 'the start time of a process that had this id before')
    const second = new ProcessLedger(directory)
    expect(await left.ended).toMatchObject({ exitCode: 137 })
    expect(isAlive(other.pid)).toBe(true)
    other.kill()
    await other.ended
    await first.close()
    await second.close()
    expect(await readdir(directory)).toEqual([])
  })
})
