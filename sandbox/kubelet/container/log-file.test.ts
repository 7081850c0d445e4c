import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LogFile, rotatedPath } from './log-file.ts'
import { readLog } from './log-reader.ts'
import type { LogReadOptions } from './log-reader.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'log-'))
})
afterEach(() => rm(directory, { recursive: true }))

const path = () => join(directory, '0.log')

async function text(options: LogReadOptions = {}, live?: LogFile): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of readLog(path(), live, options)) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

function write(log: LogFile, ...chunks: string[]): void {
  for (const chunk of chunks) log.append('stdout', Buffer.from(chunk))
}

describe('logs', () => {
  test('lines come back as they were written, however they were cut', async () => {
    const log = new LogFile(path(), 1_000_000)
    write(log, 'one\ntw', 'o\n\nth', 'ree')
    log.append('stderr', Buffer.from('error\n'))
    log.end()
    expect(await text()).toBe('one\ntwo\n\nerror\nthree')
  })

  test('a line of any length comes back whole', async () => {
    const log = new LogFile(path(), 1_000_000)
    const long = 'x'.repeat(100_000)
    write(log, `${long}\nshort\n`)
    log.end()
    expect(await text()).toBe(`${long}\nshort\n`)
  })

  test('tail, since, timestamps and limit', async () => {
    const log = new LogFile(path(), 1_000_000)
    write(log, '1\n2\n3\n')
    log.end()
    expect(await text({ tailLines: 2 })).toBe('2\n3\n')
    expect(await text({ tailLines: 0 })).toBe('')
    expect(await text({ tailLines: 9 })).toBe('1\n2\n3\n')
    expect(await text({ limitBytes: 3 })).toBe('1\n2')
    expect(await text({ sinceMs: Date.now() + 60_000 })).toBe('')
    expect(await text({ timestamps: true, tailLines: 1 })).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z 3\n$/)
  })

  test('a log is bounded: one older file is kept', async () => {
    const log = new LogFile(path(), 1000)
    for (let line = 0; line < 200; line++) write(log, `line ${line}\n`)
    log.end()
    expect((await stat(path())).size).toBeLessThanOrEqual(1000)
    expect((await stat(rotatedPath(path()))).size).toBeLessThanOrEqual(1000)
    const lines = (await text()).trim().split('\n')
    expect(lines.at(-1)).toBe('line 199')
    expect(lines.length).toBeGreaterThan(20)
    const numbers = lines.map((line) => Number(line.split(' ')[1]))
    expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? 0) + index))
  })

  test('a follower gets everything up to the end, over rotations', async () => {
    const log = new LogFile(path(), 1000)
    write(log, 'line 0\n')
    const reader = readLog(path(), log, { follow: true })
    for (let line = 0; line < 100; line++) {
      const { value } = await reader.next()
      expect(Buffer.from(value ?? []).toString()).toBe(`line ${line}\n`)
      write(log, `line ${line + 1}\n`)
    }
    log.end()
    const rest: string[] = []
    for await (const chunk of reader) rest.push(Buffer.from(chunk).toString())
    expect(rest).toEqual(['line 100\n'])
    expect(log.rotations).toBeGreaterThan(2)
  })

  test('a follower that gives up is let go', async () => {
    const log = new LogFile(path(), 4000)
    write(log, 'only\n')
    const controller = new AbortController()
    const reader = readLog(path(), log, { follow: true, signal: controller.signal })
    expect(Buffer.from((await reader.next()).value ?? []).toString()).toBe('only\n')
    const next = reader.next()
    controller.abort()
    expect((await next).done).toBe(true)
    log.end()
  })
})
