/**
 * `npm run test:e2e`: Penstock as its users have it, from its chart and images, on a whole Kubernetes node. Arguments go to Jest.
 *
 * This process finds or builds programs and images, enters the namespaces, and looks in the end whether anything was left; `inside.ts`
 * runs the tests there. It promises that, however the tests end, it removes what no namespace takes away.
 */
import { mkdir } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { cacheDirectory, findBinaries, findHelm, findNodeBinaries } from '../kube/binaries.ts'
import { runIsolated } from '../kube/namespaces.ts'
import { CANNOT_RUN } from '../run-jest.ts'
import { findHierarchies, groupName, makeGroup, removeGroups } from './cgroups.ts'
import { findImages } from './images.ts'
import { leftSince, tracesOn } from './leftovers.ts'
import { missingRequirements } from './requirements.ts'

const MARK = 'PENSTOCK_E2E'

/** @returns the exit code of the tests */
async function runTests(env: Readonly<Record<string, string>>): Promise<number> {
  const hierarchies = await findHierarchies()
  await removeGroups(hierarchies)
  const temporary = join(cacheDirectory(), 'run')
  await mkdir(temporary, { recursive: true })
  const id = groupName()
  const look = { hierarchies, mark: `${MARK}=${id}`, cgroup: id, temporary }
  const before = await tracesOn(look)
  let status: number
  try {
    await makeGroup(hierarchies, id)
    status = await runIsolated({
      command: [process.execPath, join(import.meta.dirname, 'inside.ts'), ...process.argv.slice(2)],
      cwd: join(import.meta.dirname, '../..'),
      env: { ...process.env, ...env, [MARK]: id },
      temporary,
    })
  } finally {
    await removeGroups(hierarchies)
  }
  const left = await leftSince(before, look)
  for (const each of left) console.error(`LEFT on this machine: ${each}`)
  if (left.length === 0) console.log('nothing of it is left on this machine')
  return left.length === 0 ? status : 1
}

/** Builds now, so that the tests inside find all of it in the cache. @returns what they need to know */
async function prepare(): Promise<Readonly<Record<string, string>>> {
  const say = (line: string) => console.error(line)
  await findBinaries({ say })
  const { pause } = await findNodeBinaries({ say })
  const images = await findImages({ pause, say })
  return { HELM_BIN: await findHelm({ say }), PENSTOCK_E2E_IMAGES: images.join(delimiter) }
}

const missing = await missingRequirements()
if (missing.length > 0) {
  console.error(
    ['SKIPPED: no cluster can run here; this machine lacks', ...missing.map((each) => `  ${each}`)].join('\n'),
  )
  process.exitCode = CANNOT_RUN
} else {
  process.exitCode = await runTests(await prepare())
}
