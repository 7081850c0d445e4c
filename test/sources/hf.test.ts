/** A Hub that Hugging Face's own client believes in: what that client downloads is what is fetched, and the token stays with the Hub. */
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { modelPath } from '../../server-image/serve/testing.ts'
import { failureOf, fetchByProgram, fetchedUri } from './fetching.ts'
import { COMMIT, OTHER_TOKEN, startHub, TOKEN, type Hub } from './hub-server.ts'
import { INSTALL_TIMEOUT_MS, pythonOf, runScript } from './python-programs.ts'

const FILE = 'onnx/model.onnx'

let hub: Hub
let folder: string
let python: string
let model: Buffer

beforeAll(async () => {
  python = await pythonOf('hub')
  folder = await mkdtemp(join(tmpdir(), 'penstock-hub-'))
  model = await readFile(modelPath('mlp20'))
  const small = { 'README.md': Buffer.from('# A model\n'), 'small model.bin': Buffer.from('not in LFS') }
  hub = await startHub({ small, large: { [FILE]: model } })
}, INSTALL_TIMEOUT_MS)

beforeEach(() => hub.forget())

afterAll(async () => {
  await hub?.stop()
  await rm(folder, { recursive: true })
})

const anonymous = () => ({ HF_ENDPOINT: hub.url })
const withToken = (token: string) => ({ ...anonymous(), HF_TOKEN: token })

/** What their client makes of the same file. */
async function theirs(repo: string, revision: string, token?: string): Promise<Record<string, unknown>> {
  const home = await mkdtemp(join(folder, 'home-'))
  const env = { HF_ENDPOINT: hub.url, HF_HOME: home, HF_HUB_DISABLE_TELEMETRY: '1', HF_TOKEN: token ?? '' }
  return runScript(python, { name: 'hub_download', args: [repo, revision, FILE, join(home, 'files')], env })
}

describe('their client and ours agree', () => {
  test.each<[string, string, string | undefined]>([
    ['org/open', 'main', undefined],
    ['org/open', 'v1.0', undefined],
    ['org/open', 'refs/pr/1', undefined],
    ['org/open', COMMIT, undefined],
    ['org/gated', 'main', TOKEN],
    ['org/private', 'v1.0', TOKEN],
  ])('%s at %s', async (repo, revision, token) => {
    const said = await theirs(repo, revision, token)
    const sha256 = createHash('sha256').update(model).digest('hex')
    const metadata = { commit: COMMIT, etag: sha256, size: model.length, apiCommit: COMMIT, apiSha256: sha256 }
    expect(said).toMatchObject(metadata)
    const uri = `hf://${repo}@${encodeURIComponent(revision)}/${FILE}`
    const env = token === undefined ? anonymous() : withToken(token)
    const pinned = await fetchedUri({ uri, env }, await readFile(String(said['path'])))
    expect(pinned).toBe(`hf://${repo}@${COMMIT}/${FILE}`)
    hub.forget()
    expect(await fetchedUri({ uri: pinned, env }, model)).toBe(pinned)
    expect(hub.seen.map(({ host }) => host)).toEqual(['hub', 'cdn'])
  })

  test.each([
    ['org/gated', 'main', undefined, 'GatedRepoError'],
    ['org/gated', 'main', OTHER_TOKEN, 'GatedRepoError'],
    ['org/private', 'main', OTHER_TOKEN, 'RepositoryNotFoundError'],
    ['org/open', 'v9', undefined, 'RevisionNotFoundError'],
  ])('%s at %s is refused to both', async (repo, revision, token, error) => {
    expect(await theirs(repo, revision, token)).toEqual({ error })
    const env = token === undefined ? anonymous() : withToken(token)
    const { code, bytes } = await fetchByProgram({ uri: `hf://${repo}@${revision}/${FILE}`, env })
    expect([code, bytes]).toEqual([1, undefined])
  })
})

test.each([`hf://org/open`, `hf://org/open@v1.0`])('%s: the only .onnx file needs no name', async (uri) => {
  expect(await fetchedUri({ uri, env: anonymous() }, model)).toBe(`hf://org/open@${COMMIT}/${FILE}`)
})

test('a resolve Job tells the commit', async () => {
  const { code, result } = await fetchByProgram({
    uri: `hf://org/open@v1.0/${FILE}`,
    env: anonymous(),
    flags: ['--inspect'],
  })
  expect(code).toBe(0)
  expect(result).toMatchObject({ ok: true, uri: `hf://org/open@${COMMIT}/${FILE}` })
})

test('data beside the model comes from the same commit, and is what was resolved', async () => {
  const read = (name: string) => readFile(modelPath('external').replace('external.onnx', name))
  const large = { 'm/net.onnx': await read('external.onnx'), 'm/external.weights': await read('external.weights') }
  const other = await startHub({ small: {}, large })
  try {
    const env = { ...withToken(TOKEN), HF_ENDPOINT: other.url }
    const { code, result } = await fetchByProgram({ uri: 'hf://org/private@v1.0', env, flags: ['--inspect'] })
    expect([code, result]).toMatchObject([0, { ok: true, uri: `hf://org/private@${COMMIT}/m/net.onnx` }])
    const { uri, sha256, dataSha256 } = result as { uri: string; sha256: string; dataSha256: string }
    const pinned = (data: string) =>
      fetchByProgram({ uri, env, flags: [`--sha256=${sha256}`, `--data-sha256=${data}`] })
    expect(await pinned(dataSha256)).toMatchObject({ code: 0 })
    expect(await pinned(sha256)).toMatchObject({ code: 1, result: { reason: 'DigestMismatch' } })
  } finally {
    await other.stop()
  }
})

test('a file that the Hub sends itself is fetched from there', async () => {
  const asked = { uri: 'hf://org/open/small model.bin', env: anonymous() }
  expect(await fetchedUri(asked, Buffer.from('not in LFS'))).toBe(`hf://org/open@${COMMIT}/small model.bin`)
  expect(hub.seen.map(({ host }) => host)).toEqual(['hub', 'hub'])
})

test('the token is sent to the Hub, and does not follow to where the bytes are', async () => {
  await fetchedUri({ uri: `hf://org/gated/${FILE}`, env: withToken(TOKEN) }, model)
  const sent = hub.seen.map(({ host, authorization }) => [host, authorization])
  const bearer = `Bearer ${TOKEN}`
  expect(sent).toEqual([
    ['hub', bearer],
    ['hub', bearer],
    ['cdn', undefined],
  ])
})

test.each<[string, string | undefined, string, string]>([
  [`hf://org/gated/${FILE}`, undefined, 'Forbidden', 'is gated; accept its terms'],
  [`hf://org/gated@${COMMIT}/${FILE}`, undefined, 'Forbidden', 'HF_TOKEN in the Secret'],
  [`hf://org/gated/${FILE}`, OTHER_TOKEN, 'Forbidden', 'is gated; accept its terms'],
  [`hf://org/private/${FILE}`, undefined, 'Forbidden', 'does not exist or is private'],
  [`hf://org/private/${FILE}`, OTHER_TOKEN, 'NotFound', 'HF_TOKEN may not read it'],
  [`hf://org/open/${FILE}`, 'hf_ATokenThatWasRevoked', 'Forbidden', 'HF_TOKEN'],
  [`hf://org/open@v9/${FILE}`, undefined, 'NotFound', 'no revision "v9"'],
  ['hf://org/open/onnx/other.onnx', undefined, 'NotFound', `its .onnx files are ${FILE}`],
  [`hf://org/open@${COMMIT}/other.onnx`, undefined, 'NotFound', 'has no file "other.onnx"'],
  ['hf://org', undefined, 'InvalidArgument', 'names no repository'],
])('%s with token %s: %s', async (uri, token, reason, words) => {
  const env = token === undefined ? anonymous() : withToken(token)
  expect(await failureOf({ uri, env })).toMatchObject({ reason, message: expect.stringContaining(words) })
})
