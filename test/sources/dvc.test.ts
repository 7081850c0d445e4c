/** Repositories that DVC itself made and pushed: what `dvc get` brings is what is fetched. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { modelPath } from '../../server-image/serve/testing.ts'
import { failureOf, fetchByProgram, fetchedUri } from './fetching.ts'
import { BUCKET, startMotoWithBucket, type Moto } from './moto.ts'
import { INSTALL_TIMEOUT_MS, pythonOf, runScript } from './python-programs.ts'
import { startServerProcess, type ServerProcess } from './server-process.ts'

const MODEL = modelPath('mlp20')
const OTHER_MODEL = modelPath('forest20_no_zipmap')

/** What DVC says of the files that it tracks. */
type ShownUrls = Readonly<Record<string, string>>

interface Remote {
  /** As one writes to it. */
  readonly url: string
  readonly endpoint?: string
  /** As others read it. */
  readonly readUrl?: string
  readonly env?: Readonly<Record<string, string>>
}

/** Repositories in `folder`, which a plain web server shows. */
interface Place {
  readonly folder: string
  readonly web: ServerProcess
}

async function openPlace(): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-dvc-'))
  const python = await pythonOf('dvc')
  const web = await startServerProcess({
    command: (port) => [python, '-m', 'http.server', String(port), '--bind=127.0.0.1', `--directory=${folder}`],
  })
  return { folder, web }
}

async function closePlace({ folder, web }: Place): Promise<void> {
  await web.stop()
  await rm(folder, { recursive: true })
}

async function makeRepository({ folder }: Place, { url, endpoint = '', readUrl = url, env = {} }: Remote) {
  const args = [join(folder, 'repository'), MODEL, OTHER_MODEL, url, endpoint, readUrl]
  return runScript<ShownUrls>(await pythonOf('dvc'), { name: 'seed_dvc', args, env })
}

describe('a remote on a plain web server', () => {
  let place: Place
  let shown: ShownUrls
  let remote: string
  let repository: string

  beforeAll(async () => {
    place = await openPlace()
    remote = `${place.web.url}/store`
    repository = `${place.web.url}/repository`
    shown = await makeRepository(place, { url: join(place.folder, 'store'), readUrl: remote })
  }, INSTALL_TIMEOUT_MS)

  afterAll(() => closePlace(place))

  const got = (path: string) => readFile(join(place.folder, 'got', path))
  const objectPath = (path: string) => join(place.folder, new URL(shown[path] ?? '').pathname)

  test.each(['model.onnx', 'bundle/onnx/b.onnx', 'out/trained.onnx'])(
    '%s: what DVC shows as its URL is its name',
    async (path) => {
      const uri = `dvc+${shown[path]}`
      expect(await fetchedUri({ uri }, await got(path))).toBe(uri)
    },
  )

  test.each([
    ['model.onnx.dvc', 'model.onnx'],
    ['model.onnx.dvc&file=model.onnx', 'model.onnx'],
    ['bundle.dvc&file=bundle/onnx/a.onnx', 'bundle/onnx/a.onnx'],
    ['bundle.dvc&file=bundle%2Fonnx%2Fb.onnx', 'bundle/onnx/b.onnx'],
    ['dvc.lock', 'out/trained.onnx'],
    ['dvc.lock&file=out/trained.onnx', 'out/trained.onnx'],
    ['dvc.lock&file=folder/onnx/a.onnx', 'bundle/onnx/a.onnx'],
    ['dvc.lock?ref=v3&file=folder/onnx/b.onnx', 'bundle/onnx/b.onnx'],
  ])('%s leads to %s', async (pointer, path) => {
    const uri = `dvc+${remote}?dvc=${repository}/${pointer}`
    expect(await fetchedUri({ uri }, await got(path))).toBe(`dvc+${shown[path]}`)
  })

  test('the only model in a folder needs no name', async () => {
    const asked = { uri: `dvc+${remote}/?dvc=${repository}/single.dvc` }
    expect(await fetchedUri(asked, await readFile(OTHER_MODEL))).toBe(`dvc+${shown['bundle/onnx/b.onnx']}`)
    const named = { uri: `${asked.uri}&file=single/deep/only%20one.onnx` }
    expect(await fetchedUri(named, await readFile(OTHER_MODEL))).toBe(`dvc+${shown['bundle/onnx/b.onnx']}`)
  })

  test('a folder of this machine is a remote, too', async () => {
    const store = `file://${place.folder}/store`
    const uri = `dvc+${store}?dvc=file://${place.folder}/repository/model.onnx.dvc`
    expect(await fetchedUri({ uri }, await got('model.onnx'))).toMatch(/^dvc\+file:.*\/store\/files\/md5\/..\/.{30}$/)
  })

  test.each([
    ['bundle.dvc', 'InvalidArgument', /2 \.onnx files \(bundle\/onnx\/a\.onnx, bundle\/onnx\/b\.onnx\); name one/],
    ['bundle.dvc&file=onnx/a.onnx', 'NotFound', /no file "onnx\/a\.onnx"/],
    ['bundle.dvc&file=bundle/onnx/c.onnx', 'NotFound', /its \.onnx files are bundle\/onnx\/a\.onnx/],
    ['dvc.lock&file=report.txt', 'NotFound', /no file "report\.txt"/],
    ['none.dvc', 'NotFound', /none\.dvc does not exist/],
    ['.dvc/config', 'InvalidArgument', /is no \.dvc or dvc\.lock file/],
    ['dvc.yaml', 'InvalidArgument', /is no \.dvc or dvc\.lock file/],
    ['bundle/README.md', 'InvalidArgument', /is no \.dvc or dvc\.lock file/],
  ])('%s leads nowhere', async (pointer, reason, message) => {
    const failure = await failureOf({ uri: `dvc+${remote}?dvc=${repository}/${pointer}` })
    expect(failure).toMatchObject({ reason, message: expect.stringMatching(message) })
  })

  test('a remote without the object says which one it lacks', async () => {
    const uri = `dvc+${place.web.url}/elsewhere?dvc=${repository}/model.onnx.dvc`
    const failure = await failureOf({ uri })
    expect(failure).toMatchObject({ reason: 'NotFound', message: expect.stringContaining('/elsewhere/files/md5/') })
  })

  test('a URL that is no object of a remote is refused', async () => {
    const failure = await failureOf({ uri: `dvc+${repository}/model.onnx` })
    expect(failure).toMatchObject({ reason: 'InvalidArgument', message: expect.stringContaining('MD5') })
  })

  test('the query of a pointer, which may be a secret, is not told', async () => {
    const { code, output } = await fetchByProgram({
      uri: `dvc+${remote}?dvc=${repository}/none.dvc?private_token=sesame`,
    })
    expect([code, output.includes('sesame')]).toEqual([1, false])
  })

  test('bytes and lists that are not what their names say are refused', async () => {
    const list = /md5: (..)(.{30}\.dir)/.exec(await readFile(join(place.folder, 'repository/bundle.dvc'), 'utf8'))
    const listPath = join(place.folder, 'store/files/md5', list?.[1] ?? '', list?.[2] ?? '')
    const [listed, model] = await Promise.all([readFile(listPath, 'utf8'), got('model.onnx')])
    await rm(listPath)
    await writeFile(listPath, listed.replaceAll('a.onnx', 'x.onnx'))
    const byList = { uri: `dvc+${remote}?dvc=${repository}/bundle.dvc&file=bundle/onnx/x.onnx` }
    expect(await failureOf(byList)).toMatchObject({ reason: 'DigestMismatch' })
    const object = objectPath('model.onnx')
    await rm(object)
    await writeFile(object, Buffer.concat([model, Buffer.from('!')]))
    expect(await failureOf({ uri: `dvc+${shown['model.onnx']}` })).toMatchObject({ reason: 'DigestMismatch' })
  })
})

describe('a remote in a bucket', () => {
  let place: Place
  let moto: Moto
  let shown: ShownUrls
  let env: Record<string, string>

  beforeAll(async () => {
    ;[place, moto] = await Promise.all([openPlace(), startMotoWithBucket()])
    const region = { AWS_DEFAULT_REGION: 'us-east-1' }
    const url = `s3://${BUCKET}/dvc store`
    shown = await makeRepository(place, { url, endpoint: moto.url, env: { ...moto.keys, ...region } })
    env = { ...moto.keys, AWS_ENDPOINT_URL: moto.url }
    await moto.checkKeys()
  }, INSTALL_TIMEOUT_MS)

  afterAll(async () => {
    await moto?.stop()
    await closePlace(place)
  })

  const byPointer = (pointer: string) => `dvc+s3://${BUCKET}/dvc store?dvc=${place.web.url}/repository/${pointer}`

  test('what DVC shows as its URL is its name', async () => {
    const uri = `dvc+${shown['model.onnx']}`
    expect(uri).toMatch(/^dvc\+s3:\/\/models\/dvc store\/files\/md5\//)
    expect(await fetchedUri({ uri, env }, await readFile(MODEL))).toBe(uri)
  })

  test.each([
    ['model.onnx.dvc', 'model.onnx'],
    ['bundle.dvc&file=bundle/onnx/b.onnx', 'bundle/onnx/b.onnx'],
    ['dvc.lock', 'out/trained.onnx'],
  ])('%s in Git leads to %s in the bucket', async (pointer, path) => {
    const asked = { uri: byPointer(pointer), env }
    expect(await fetchedUri(asked, await readFile(join(place.folder, 'got', path)))).toBe(`dvc+${shown[path]}`)
  })

  test('a resolve Job tells the object and the contract', async () => {
    const { code, result } = await fetchByProgram({ uri: byPointer('dvc.lock'), env, flags: ['--inspect'] })
    expect(code).toBe(0)
    expect(result).toMatchObject({ ok: true, uri: `dvc+${shown['out/trained.onnx']}` })
  })

  test.each([
    ['wrong keys', { AWS_SECRET_ACCESS_KEY: 'not-the-secret-key' }, 'Forbidden', 'SignatureDoesNotMatch'],
    ['no keys', { AWS_ACCESS_KEY_ID: '' }, 'Forbidden', 'may not be read anonymously'],
  ])('%s: the bucket refuses', async (_, given, reason, words) => {
    const failure = await failureOf({ uri: byPointer('bundle.dvc'), env: { ...env, ...given } })
    expect(failure).toMatchObject({ reason, message: expect.stringContaining(words) })
  })

  test('an object that nobody pushed is not there', async () => {
    const failure = await failureOf({ uri: `dvc+s3://${BUCKET}/files/md5/ab/${'c'.repeat(30)}`, env })
    expect(failure).toMatchObject({ reason: 'NotFound', message: expect.stringContaining('does not exist') })
  })
})
