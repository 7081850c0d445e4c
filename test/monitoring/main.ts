/**
 * `npm run test:monitoring`: Evidently itself, installed into a cached virtual environment, judges the cases anew, and both the
 * committed numbers and Penstock's must agree with what it says. `--write` makes the committed numbers from it.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { runSuite } from '../cannot-run.ts'
import { pythonWith } from '../python.ts'
import { CASES } from './cases.ts'
import { disagreements, ourDrift, ourQuality, type EvidentlyNumbers } from './judge.ts'

const run = promisify(execFile)
const here = import.meta.dirname
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024

async function evidentlyNumbers(python: string): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'penstock-evidently-'))
  try {
    const path = join(dir, 'cases.json')
    await writeFile(path, JSON.stringify(CASES))
    const script = join(here, 'evidently_numbers.py')
    const { stdout } = await run(python, ['-W', 'ignore', script, path], { maxBuffer: MAX_OUTPUT_BYTES })
    return stdout
  } finally {
    await rm(dir, { recursive: true })
  }
}

interface Verdict {
  readonly name: string
  readonly problems: readonly string[]
}

function verdicts(fresh: EvidentlyNumbers, committed: EvidentlyNumbers): Verdict[] {
  return [
    ...CASES.drift.flatMap((drift) => [
      { name: `drift: ${drift.name}`, problems: disagreements(ourDrift(drift), fresh.drift[drift.name] ?? {}) },
      {
        name: `committed drift: ${drift.name}`,
        problems: disagreements(committed.drift[drift.name] ?? {}, fresh.drift[drift.name] ?? {}),
      },
    ]),
    ...CASES.quality.map((quality) => ({
      name: `quality: ${quality.name}`,
      problems: disagreements(ourQuality(quality), fresh.quality[quality.name] ?? {}),
    })),
  ]
}

// Where it cannot be asked, its committed numbers hold Penstock to it: agreement.test.ts.
await runSuite("agreement with Evidently's fresh numbers", async () => {
  const python = await pythonWith({ name: 'evidently', requirements: join(here, 'requirements.txt') })
  const stdout = await evidentlyNumbers(python)
  const fresh = JSON.parse(stdout) as EvidentlyNumbers
  const file = join(here, 'evidently.json')
  if (process.argv.includes('--write')) {
    await writeFile(`${file}.new`, stdout)
    await rename(`${file}.new`, file)
  }
  console.log(Object.entries(fresh.versions).flat().join(' '))
  const all = verdicts(fresh, JSON.parse(await readFile(file, 'utf8')) as EvidentlyNumbers)
  const failed = all.filter(({ problems }) => problems.length > 0)
  for (const { name, problems } of failed) console.log(`FAIL ${name}\n  ${problems.join('\n  ')}`)
  console.log(`${all.length - failed.length} passed, ${failed.length} failed`)
  return failed.length === 0 ? 0 : 1
})
