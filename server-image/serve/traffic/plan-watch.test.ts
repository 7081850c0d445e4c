import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { eventually } from '../testing.ts'
import { watchPlan, type PlanWatch } from './plan-watch.ts'

let dir: string
let watched: PlanWatch | undefined
let plans: number[]
let problems: string[]
let goneTimes: number

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'plan-'))
  plans = []
  problems = []
  goneTimes = 0
})

afterEach(() => {
  watched?.close()
  rmSync(dir, { recursive: true, force: true })
})

function start(from = dir): void {
  watched = watchPlan({
    dir: from,
    revision: 'own',
    onPlan: ({ id }) => plans.push(id),
    onGone: () => (goneTimes += 1),
    onBadPlan: (message) => problems.push(message),
  })
}

const text = (id: number) =>
  JSON.stringify({ id, revision: 'own', weightPermille: 0, shadowPermille: 0, retired: false })

/** As the kubelet does it: a new directory, then one rename of the symlink that all files go through. */
function swap(generation: number, content: string): void {
  mkdirSync(join(dir, `..${generation}`))
  writeFileSync(join(dir, `..${generation}`, 'own.json'), content)
  symlinkSync(`..${generation}`, join(dir, '..data_tmp'))
  renameSync(join(dir, '..data_tmp'), join(dir, '..data'))
}

describe('watching a plan', () => {
  test('sees each swap of the volume', async () => {
    swap(1, text(1))
    symlinkSync('..data/own.json', join(dir, 'own.json'))
    start()
    await eventually(() => plans.length === 1)
    for (const id of [2, 3, 4]) {
      swap(id, text(id))
      await eventually(() => plans.at(-1) === id)
    }
    expect(plans).toEqual([1, 2, 3, 4])
  })

  test('begins before the directory or the file is there', async () => {
    const later = join(dir, 'later')
    start(later)
    await eventually(() => goneTimes === 1)
    mkdirSync(later)
    writeFileSync(join(later, 'own.json'), text(5))
    await eventually(() => plans.length === 1)
  })

  test('tells of a file that cannot be followed once, and takes the next good one', async () => {
    swap(1, '{"id": 1')
    symlinkSync('..data/own.json', join(dir, 'own.json'))
    start()
    await eventually(() => problems.length === 1)
    swap(2, '{"id": 1')
    swap(3, text(2))
    await eventually(() => plans.length === 1)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain('The plan in force stays.')
  })

  test('tells when the plan is taken away', async () => {
    writeFileSync(join(dir, 'own.json'), text(1))
    start()
    await eventually(() => plans.length === 1)
    rmSync(join(dir, 'own.json'))
    await eventually(() => goneTimes === 1)
  })
})
