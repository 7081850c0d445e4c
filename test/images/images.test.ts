import { readFileSync } from 'node:fs'
import { chmod, chown, copyFile, cp, mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startSandbox } from '../../sandbox/sandbox.ts'
import { makeBaseImages, type BaseImages } from './base-images.ts'
import { buildahOn, withStore, type Buildah } from './buildah.ts'
import { imageConfig, withContainer, type Program as Running } from './container.ts'
import { buildImage, downloadBytes, writeArchive, type Program } from './images.ts'

const ROOT = join(import.meta.dirname, '../..')
const BIOPSY = join(ROOT, 'examples/biopsy')
const MEGABYTE = 1e6
const USER = 65_532
const READY_WITHIN_MS = 20_000
const ELF_MACHINES: Readonly<Record<number, string>> = { 0x3e: 'amd64', 0xb7: 'arm64' }

let store: string
let buildah: Buildah
let bases: BaseImages
let work: string
const images = {} as Record<Program, string>
const cleanUp = new AsyncDisposableStack()

beforeAll(async () => {
  let began: () => void = () => undefined
  const hasBegun = new Promise<void>((resolve) => (began = resolve))
  const over = Promise.withResolvers<void>()
  const using = withStore(async (path) => {
    store = path
    began()
    await over.promise
  })
  cleanUp.defer(async () => {
    over.resolve()
    await using
  })
  await Promise.race([hasBegun, using])
  work = await mkdtemp(join(tmpdir(), 'penstock-images-'))
  cleanUp.defer(() => rm(work, { recursive: true, force: true }))
  await chmod(work, 0o755)
  buildah = buildahOn(store)
  bases = await makeBaseImages(buildah, console.info)
  for (const program of ['operator', 'server'] as const)
    images[program] = await buildImage(buildah, program, { bases, tag: 'test' })
}, 900_000)

afterAll(() => cleanUp.disposeAsync(), 60_000)

/** A loopback address of this run alone, so that ports are as in a pod. */
const host = `127.77.${(process.pid >> 8) & 255}.${(process.pid & 127) + 1}`

/** Waits for an answer with status 200, and ends the program in the end. @throws Error with what the program said */
async function whileReady<T>(program: Running, url: string, use: () => Promise<T>): Promise<T> {
  try {
    const deadline = Date.now() + READY_WITHIN_MS
    while ((await statusOf(url)) !== 200) {
      if (program.process.exitCode !== null || Date.now() > deadline) {
        program.process.kill('SIGKILL')
        const { stdout, stderr } = await program.finished
        throw new Error(`${url} did not answer 200: ${stdout}${stderr}`)
      }
      await delay(50)
    }
    return await use()
  } finally {
    if (program.process.exitCode === null) program.process.kill('SIGKILL')
    await program.finished
  }
}

const statusOf = (url: string) =>
  fetch(url).then(
    ({ status }) => status,
    () => 0,
  )

/** Real, effective, saved and file system ids, then what may be gained. */
function identity(pid: number | undefined): Record<string, string> {
  const text = readFileSync(`/proc/${pid ?? 0}/status`, 'utf8')
  const found = text.matchAll(/^(Uid|Gid|CapEff|CapPrm|NoNewPrivs):\s+(.*)$/gm)
  return Object.fromEntries([...found].map(([, key = '', value = '']): [string, string] => [key, value]))
}
const ORDINARY = {
  ...{ Uid: Array(4).fill(USER).join('\t'), Gid: Array(4).fill(USER).join('\t') },
  ...{ CapEff: '0000000000000000', CapPrm: '0000000000000000', NoNewPrivs: '1' },
}

async function folderFor(name: string): Promise<string> {
  const folder = join(work, name)
  await mkdir(folder)
  return folder
}

async function elfMachine(file: string): Promise<string | undefined> {
  return ELF_MACHINES[(await readFile(file)).readUInt16LE(18)]
}

const onnxRuntime = async (root: string) => {
  const folder = join(root, 'app/node_modules/onnxruntime-node/bin')
  const files = await readdir(folder, { recursive: true, withFileTypes: true })
  return files.filter((each) => each.isFile()).map((each) => join(each.parentPath, each.name))
}

describe.each<[Program, number]>([
  ['operator', 75],
  ['server', 130],
])('the %s image', (program, limit) => {
  test(`is a download of at most ${limit} MB`, async () => {
    const bytes = await downloadBytes(buildah, images[program], { store, compression: 'gzip' })
    console.info(`${program}: ${(bytes / MEGABYTE).toFixed(1)} MB compressed (gzip)`)
    expect(bytes).toBeLessThanOrEqual(limit * MEGABYTE)
  }, 120_000)

  test('says what it is, and runs as nobody in particular', async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
    const config = await imageConfig(buildah, images[program])
    expect(config).toMatchObject({
      User: `${USER}:${USER}`,
      Healthcheck: {
        Test: [
          'CMD',
          'node',
          ...(program === 'server' ? ['/app/dist/server/main.mjs', 'healthcheck'] : ['-e', expect.any(String)]),
        ],
      },
    })
    expect(config.Labels).toMatchObject({
      'org.opencontainers.image.version': version,
      'org.opencontainers.image.licenses': 'Apache-2.0',
      'org.opencontainers.image.base.name': 'localhost/penstock-runtime-base',
    })
    expect(Object.values(config.Labels)).not.toContain('')
  })

  test('carries programs and notices, but no sources, no tests and no package that builds', async () => {
    await withContainer(buildah, images[program], async ({ root }) => {
      const app = await readdir(join(root, 'app'))
      expect(app.filter((each) => each !== 'node_modules').sort()).toEqual([
        ...['LICENSE', 'dist', 'package.json', 'third-party-licenses.txt'],
      ])
      const packages = await readdir(join(root, 'app/node_modules')).catch(() => [])
      expect(packages).toEqual(program === 'server' ? ['onnxruntime-common', 'onnxruntime-node'] : [])
      const notices = await readFile(join(root, 'app/third-party-licenses.txt'), 'utf8')
      expect(notices).toMatch(/^commander \d/m)
      expect(await readdir(join(root, 'usr/bin')).catch(() => [])).not.toContain('sh')
    })
  })

  test('can be made for arm64 without emulation', async () => {
    const empty = await buildah(['from', '--pull-never', 'scratch'])
    await buildah(['config', '--arch', 'arm64', '--os', 'linux', empty])
    // By its id: buildah before 1.29 looks for the name on the platform of the stage before.
    const runtime = await buildah(['commit', '--quiet', '--rm', empty, 'localhost/penstock-empty-base:arm64'])
    const options = { bases: { ...bases, runtime }, arch: 'arm64', tag: 'arm64' }
    const image = await buildImage(buildah, program, options)
    const { architecture } = (JSON.parse(await buildah(['inspect', '--type', 'image', image])) as Inspected).OCIv1
    expect(architecture).toBe('arm64')
    const bytes = await downloadBytes(buildah, image, { store, compression: 'gzip' })
    console.info(`${program} for arm64: ${(bytes / MEGABYTE).toFixed(1)} MB compressed (gzip), and its base`)
    if (program === 'operator') return
    await withContainer(buildah, image, async ({ root }) => {
      const machines = await Promise.all((await onnxRuntime(root)).map(elfMachine))
      expect(new Set(machines)).toEqual(new Set(['arm64']))
    })
  }, 300_000)
})

interface Inspected {
  readonly OCIv1: { readonly architecture: string }
}

describe('the operator of its image', () => {
  test('prints its usage', async () => {
    await withContainer(buildah, images.operator, async (container) => {
      expect(await container.start(['--help']).finished).toMatchObject({
        ...{ status: 0, stdout: expect.stringContaining('--server-image <image>'), stderr: '' },
      })
    })
  })

  test('becomes ready against an API server, is healthy, and ends when it is asked to', async () => {
    await using sandbox = await disposableSandbox()
    const kube = await folderFor('kube')
    await copyFile(sandbox.kubeconfigPath, join(kube, 'config'))
    await chmod(join(kube, 'config'), 0o644)
    await withContainer(buildah, images.operator, async (container) => {
      const volumes = { '/kube': kube }
      const args = [
        '--kubeconfig=/kube/config',
        '--server-image=penstock/server:test',
        '--health-address=127.0.0.1:8081',
      ]
      const program = container.start(args, { volumes })
      await whileReady(program, 'http://127.0.0.1:8081/readyz', async () => {
        expect(identity(program.process.pid)).toEqual(ORDINARY)
        expect(await container.checkHealth()).toBe(0)
        program.process.kill('SIGTERM')
        expect(await program.finished).toMatchObject({ status: 0 })
      })
    })
  }, 60_000)
})

async function disposableSandbox() {
  const sandbox = await startSandbox({ crds: [join(ROOT, 'crds/modeldeployments.yaml')] })
  return Object.assign(sandbox, { [Symbol.asyncDispose]: () => sandbox.close() })
}

/** Rows of features with their labels. */
function goldenRows(): { features: number[]; label: number }[] {
  const [, ...lines] = readFileSync(join(BIOPSY, 'golden.csv'), 'utf8').trim().split('\n')
  return lines.map((line) => {
    const cells = line.split(',').map(Number)
    return { features: cells.slice(0, -1), label: cells.at(-1) ?? NaN }
  })
}

async function post(path: string, body: unknown): Promise<unknown> {
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(`http://${host}:8080${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  return await answer.json()
}

describe('the server of its image', () => {
  test('holds ONNX Runtime for one platform only', async () => {
    await withContainer(buildah, images.server, async ({ root }) => {
      const files = await onnxRuntime(root)
      expect(files.map((file) => file.split('/').slice(-3, -1).join('/'))).toEqual(
        files.map(() => `linux/${process.arch}`),
      )
      expect(files.some((file) => file.includes('libonnxruntime.so'))).toBe(true)
    })
  })

  test('fetches a model as an init container does, and inspects it', async () => {
    const models = await folderFor('fetched')
    await chown(models, USER, USER)
    const source = await folderFor('source')
    await cp(join(BIOPSY, 'models/v2.onnx'), join(source, 'v2.onnx'))
    await withContainer(buildah, images.server, async (container) => {
      const volumes = { '/models': models, '/kube': source }
      const fetched = container.start(['fetch', '--uri=file:///kube/v2.onnx', '--out=/models/model.onnx'], { volumes })
      expect(await fetched.finished).toMatchObject({ status: 0 })
      expect(await readFile(join(models, 'model.onnx'))).toEqual(await readFile(join(source, 'v2.onnx')))
      const { status, stdout } = await container.start(['inspect', '--json', '/models/model.onnx'], { volumes })
        .finished
      expect(status).toBe(0)
      expect(JSON.parse(stdout)).toMatchObject({ sizeBytes: (await stat(join(source, 'v2.onnx'))).size })
    })
  }, 60_000)

  test.each(['never', 'always'])(
    'serves a model well, with a thread of its own for it: %s',
    async (thread) => {
      const models = await folderFor(`models-${thread}`)
      await cp(join(BIOPSY, 'models/v2.onnx'), join(models, 'model.onnx'))
      await withContainer(buildah, images.server, async (container) => {
        const options = { volumes: { '/models': models }, env: { PENSTOCK_HOST: host } }
        const program = container.start(['serve', '--model-version=2', `--model-thread=${thread}`], options)
        await whileReady(program, `http://${host}:8080/readyz`, async () => {
          expect(identity(program.process.pid)).toEqual(ORDINARY)
          await expectGoodPredictions()
          expect(await container.checkHealth(options)).toBe(0)
          program.process.kill('SIGTERM')
          expect(await program.finished).toMatchObject({ status: 0 })
        })
        expect(await container.checkHealth(options)).toBe(1)
      })
    },
    60_000,
  )
})

async function expectGoodPredictions(): Promise<void> {
  const rows = goldenRows()
  const one = await post('/predict', { features: rows[0]?.features })
  expect(one).toMatchObject({ prediction: rows[0]?.label, probability: expect.any(Number) })
  const all = (await post('/predict/batch', { instances: rows.map(({ features }) => features) })) as {
    predictions: number[]
  }
  const right = rows.filter(({ label }, index) => all.predictions[index] === label).length
  expect(right / rows.length).toBeGreaterThan(0.9)
}

test('an image can be written as an archive, for clusters that no registry reaches', async () => {
  const file = join(work, 'operator.tar')
  await writeArchive(buildah, images.operator, file)
  await buildah(['pull', '--quiet', `oci-archive:${file}`])
  expect((await imageConfig(buildah, images.operator)).Entrypoint).toEqual(['node', '/app/dist/operator/main.mjs'])
}, 120_000)
