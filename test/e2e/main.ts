/**
 * `npm run test:e2e`: Penstock as its users have it, from its chart and images, on a whole Kubernetes node. Arguments go to Jest.
 *
 * This process finds or builds programs and images, enters the namespaces, and looks in the end whether anything was left; `inside.ts`
 * runs the tests there. It promises that, however the tests end, it removes what no namespace takes away.
 */
import { existsSync } from 'node:fs'
import { mkdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheDirectory, findBinaries, findHelm, findNodeBinaries } from '../kube/binaries.ts'
import { runIsolated } from '../kube/namespaces.ts'
import { CANNOT_RUN } from '../run-jest.ts'
import { findHierarchies, groupName, makeGroup, removeGroups } from './cgroups.ts'
import { COVERED } from './furnishing.ts'
import { leftSince, tracesOn } from './leftovers.ts'
import { missingRequirements } from './requirements.ts'

const MARK = 'PENSTOCK_E2E'

/** @returns the exit code of the tests */
async function runTests(): Promise<number> {
  const hierarchies = await findHierarchies()
  await removeGroups(hierarchies)
  const temporary = join(cacheDirectory(), 'run')
  await mkdir(temporary, { recursive: true })
  const id = groupName()
  const look = { hierarchies, mark: `${MARK}=${id}`, cgroup: id, temporary }
  const before = await tracesOn(look)
  let status: number
  const made = COVERED.filter((path) => !existsSync(path))
  try {
    for (const path of made) await mkdir(path)
    await makeGroup(hierarchies, id)
    status = await runIsolated({
      command: [process.execPath, join(import.meta.dirname, 'inside.ts'), ...process.argv.slice(2)],
      cwd: join(import.meta.dirname, '../..'),
      env: { ...process.env, [MARK]: id },
      temporary,
    })
  } finally {
    await removeGroups(hierarchies)
    for (const path of made) await rmdir(path)
  }
  const left = await leftSince(before, look)
  for (const each of left) console.error(`LEFT on this machine: ${each}`)
  if (left.length === 0) console.log('nothing of it is left on this machine')
  return left.length === 0 ? status : 1
}

/** Builds now, so that the tests inside find all of it in the cache. */
async function prepare(): Promise<void> {
  const say = (line: string) => console.error(line)
  await findBinaries({ say })
  await findNodeBinaries({ say })
  await findHelm({ say })
}

const missing = await missingRequirements()
if (missing.length > 0) {
  console.error(
    ['SKIPPED: no cluster can run here; this machine lacks', ...missing.map((each) => `  ${each}`)].join('\n'),
  )
  process.exitCode = CANNOT_RUN
} else {
  await prepare()
  process.exitCode = await runTests()
}
