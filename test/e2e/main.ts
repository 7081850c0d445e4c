/**
 * `npm run test:e2e`: Penstock as its users have it, from its chart and images, on a whole Kubernetes node. Arguments go to Jest.
 *
 * This process finds or builds programs and images, enters the namespaces, and looks in the end whether anything was left; `inside.ts`
 * runs the tests there. It promises that, however the tests end, it removes what no namespace takes away.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { CannotRunError, runSuite } from '../cannot-run.ts'
import { cacheDirectory, findBinaries, findHelm, findNodeBinaries } from '../kube/binaries.ts'
import { withStore } from '../images/buildah.ts'
import { missingRequirements as missingForImages } from '../images/requirements.ts'
import { runIsolated } from '../kube/namespaces.ts'
import { findHierarchies, groupName, makeGroup, removeGroups } from './cgroups.ts'
import { findImages } from './images.ts'
import { leftSince, tracesOn } from './leftovers.ts'
import { missingRequirements } from './requirements.ts'

const MARK = 'PENSTOCK_E2E'
const SIGNALS = ['SIGINT', 'SIGTERM'] as const

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

interface Programs {
  readonly helm: string
  readonly pause: string
}

/** Builds now, so that the tests inside find all of it in the cache. */
async function findPrograms(): Promise<Programs> {
  const say = (line: string) => console.error(line)
  await findBinaries({ say })
  const { pause } = await findNodeBinaries({ say })
  return { helm: await findHelm({ say }), pause }
}

/** Processes and mounts of the builder end with it, however it ends. @throws Error when it fails */
async function buildImages(pause: string): Promise<void> {
  console.error('building the images (a minute or two, again when the sources change) ...')
  const flags = ['--mount', '--propagation=private', '--pid', '--fork', '--kill-child', '--mount-proc']
  await withStore(async (store) => {
    const builder = [process.execPath, join(import.meta.dirname, 'build-images.ts'), pause, store]
    const child = spawn('unshare', [...flags, '--', ...builder], { stdio: ['pipe', 'inherit', 'inherit'] })
    // It ends with its standard input, so also when this process is killed.
    const end = () => child.kill('SIGKILL')
    for (const signal of SIGNALS) process.once(signal, end)
    const [status] = (await once(child, 'exit')) as [number | null]
    for (const signal of SIGNALS) process.off(signal, end)
    if (status !== 0) throw new Error('the images were not built')
  })
}

function mustLackNothing(missing: readonly string[]): void {
  if (missing.length > 0) throw new CannotRunError(...missing)
}

await runSuite('a whole node', async () => {
  mustLackNothing(await missingRequirements())
  const { helm, pause } = await findPrograms()
  if ((await findImages(pause)) === undefined) {
    mustLackNothing(missingForImages())
    await buildImages(pause)
  }
  const images = (await findImages(pause)) ?? []
  return runTests({ HELM_BIN: helm, PENSTOCK_E2E_IMAGES: images.join(delimiter) })
})
