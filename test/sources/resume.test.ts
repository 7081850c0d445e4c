import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { ACCOUNT, KEY, startAzure } from './azure-server.ts'
import { startCuttingProxy, type Cuts, type CuttingProxy } from './cutting-proxy.ts'
import { failureOf, fetchedUri, type Asked } from './fetching.ts'
import { startGs } from './gs-server.ts'
import { INSTALL_TIMEOUT_MS } from './python-programs.ts'
import { startRegistry } from './registry-server.ts'
import { startS3 } from './s3-server.ts'
import { startServerProcess } from './server-process.ts'

const SIZE_BYTES = 3_000_000
const CUT_BYTES = 400_000
/** A broken connection may lose what it brought, so that the same place is not quite the same. */
const GIVEN_UP_WITHIN_MS = 90_000
/** Of an answer. */
const HEAD_BYTES = 2_000

/** A store that can be reached by another address, and where a model can be replaced under its name. */
interface Store {
  readonly url: string
  readonly put: (bytes: Buffer) => Promise<unknown>
  readonly asked: (url: string) => Asked
  readonly stop: () => Promise<void>
}

let folder: string
let file: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'penstock-resume-'))
  file = join(folder, 'model.onnx')
})
afterAll(() => rmSync(folder, { recursive: true }))

async function s3Store(): Promise<Store> {
  const s3 = await startS3()
  return {
    ...s3,
    put(bytes) {
      writeFileSync(file, bytes)
      return s3.put({ name: 'models', objects: [{ key: 'm.onnx', file }] })
    },
    asked: (url) => ({ uri: 's3://models/m.onnx', env: { ...s3.env, AWS_ENDPOINT_URL: url } }),
  }
}

async function gsStore(): Promise<Store> {
  const gs = await startGs()
  await gs.makeBucket('models')
  return {
    ...gs,
    put: (bytes) => gs.put('models', 'm.onnx', bytes),
    asked: (url) => ({ uri: 'gs://models/m.onnx', env: { STORAGE_EMULATOR_HOST: url } }),
  }
}

async function azureStore(): Promise<Store> {
  const azure = await startAzure()
  return {
    url: new URL(azure.endpoint).origin,
    put(bytes) {
      writeFileSync(file, bytes)
      return azure.put({ containers: [{ name: 'models', blobs: [{ name: 'm.onnx', file }] }] })
    },
    asked: (url) => ({
      uri: `az://${ACCOUNT}/models/m.onnx`,
      env: { AZURE_STORAGE_SERVICE_ENDPOINT: `${url}/${ACCOUNT}`, AZURE_STORAGE_KEY: KEY },
    }),
    stop: azure.stop,
  }
}

async function registryStore(): Promise<Store> {
  const registry = await startRegistry()
  return {
    ...registry,
    put(bytes) {
      writeFileSync(file, bytes)
      return registry.push('org/model:v3', folder, ['model.onnx'])
    },
    asked: (url) => ({ uri: `oci://${new URL(url).host}/org/model:v3` }),
  }
}

/** Python's own: without ranges, and without ETags. */
async function webStore(): Promise<Store> {
  const server = await startServerProcess({
    command: (port) => ['python3', '-m', 'http.server', '--bind', '127.0.0.1', '--directory', folder, String(port)],
  })
  return {
    ...server,
    put: (bytes) => Promise.resolve(writeFileSync(file, bytes)),
    asked: (url) => ({ uri: `${url}/model.onnx` }),
  }
}

async function through(cuts: Cuts, use: (proxy: CuttingProxy) => Promise<void>): Promise<void> {
  const proxy = await startCuttingProxy(cuts)
  try {
    await use(proxy)
  } finally {
    await proxy.close()
  }
}

/** Where each request wanted to go on. */
const offsetsOf = (proxy: CuttingProxy) =>
  proxy.requests.flatMap((head) => /\r\nrange: bytes=(\d+)-/i.exec(head)?.[1] ?? []).map(Number)

describe.each([
  { name: 'S3', start: s3Store, requestsBefore: 0 },
  { name: 'Google Cloud Storage', start: gsStore, requestsBefore: 0 },
  { name: 'Azure', start: azureStore, requestsBefore: 0 },
  // The registry itself, and the manifest.
  { name: 'an OCI registry', start: registryStore, requestsBefore: 2 },
])('over connections that break again and again, $name', ({ start, requestsBefore }) => {
  let store: Store
  beforeAll(async () => (store = await start()), INSTALL_TIMEOUT_MS)
  afterAll(() => store.stop())

  test('goes on where each of them broke', async () => {
    const bytes = randomBytes(SIZE_BYTES)
    await store.put(bytes)
    await through({ to: store.url, bytesOf: () => CUT_BYTES }, async (proxy) => {
      await fetchedUri(store.asked(proxy.url), bytes)
      const offsets = offsetsOf(proxy)
      expect(offsets.length).toBeGreaterThanOrEqual(Math.floor(SIZE_BYTES / CUT_BYTES))
      expect(offsets).toEqual(offsets.toSorted((one, other) => one - other))
      // Connections that are reset take along what was on its way.
      expect(proxy.passedBytes()).toBeLessThan(SIZE_BYTES + offsets.length * (CUT_BYTES / 2 + HEAD_BYTES))
    })
  })

  test('brings all of the new file when it is replaced in between, and no mixture', async () => {
    const [old, replaced] = [randomBytes(SIZE_BYTES), randomBytes(SIZE_BYTES + 1_000)]
    await store.put(old)
    const first = requestsBefore
    const cuts: Cuts = {
      to: store.url,
      bytesOf: (connection) => (connection >= first && connection < first + 4 ? CUT_BYTES : undefined),
      onCut: async (connection) => void (connection === first + 1 && (await store.put(replaced))),
    }
    await through(cuts, async (proxy) => {
      // What an artifact's manifest named stays where it was.
      await fetchedUri(store.asked(proxy.url), requestsBefore > 0 ? old : replaced)
      expect(offsetsOf(proxy).length).toBeGreaterThan(0)
    })
  })
})

describe('over connections that break, a server without ranges', () => {
  let store: Store
  beforeAll(async () => (store = await webStore()), INSTALL_TIMEOUT_MS)
  afterAll(() => store.stop())

  test('sends the file from its beginning until it is whole', async () => {
    const bytes = randomBytes(SIZE_BYTES)
    await store.put(bytes)
    const cuts: Cuts = { to: store.url, bytesOf: (connection) => (connection < 3 ? CUT_BYTES : undefined) }
    await through(cuts, async (proxy) => {
      await fetchedUri(store.asked(proxy.url), bytes)
      expect(proxy.requests).toHaveLength(4)
      expect(offsetsOf(proxy)).toEqual([])
    })
  })

  test(
    'is given up when it always breaks at the same place',
    async () => {
      await store.put(randomBytes(SIZE_BYTES))
      await through({ to: store.url, bytesOf: () => CUT_BYTES / 4 }, async (proxy) => {
        const failure = await failureOf(store.asked(proxy.url))
        expect(failure).toMatchObject({ reason: 'Interrupted', message: expect.stringContaining('did not go on') })
      })
    },
    GIVEN_UP_WITHIN_MS,
  )

  test('never brings a mixture of two files', async () => {
    const [old, replaced] = [randomBytes(SIZE_BYTES), randomBytes(SIZE_BYTES)]
    await store.put(old)
    const cuts: Cuts = {
      to: store.url,
      bytesOf: (connection) => (connection === 0 ? CUT_BYTES : undefined),
      onCut: () => void store.put(replaced),
    }
    await through(cuts, (proxy) => fetchedUri(store.asked(proxy.url), replaced).then(() => undefined))
  })
})
