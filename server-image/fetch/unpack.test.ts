import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { packTar } from 'modern-tar'
import { FetchError } from './fetch-error.ts'
import type { Archive } from './location.ts'
import { FileSink } from './sink.ts'
import { unpackModel } from './unpack.ts'

const MAX_BYTES = 1024 * 1024
const plain: Archive = { compression: 'none' }

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'unpack-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

interface Member {
  readonly name: string
  readonly body: Buffer
}

async function tarOf(members: readonly Member[]): Promise<Buffer> {
  const entries = members.map(({ name, body }) => ({ header: { name, size: body.length }, body: new Uint8Array(body) }))
  return Buffer.from(await packTar(entries))
}

/** What the sink holds afterwards. */
async function unpacked(bytes: Buffer, archive: Archive = plain): Promise<Buffer> {
  const [path, out] = [join(folder, 'archive'), join(folder, 'model.onnx')]
  writeFileSync(path, bytes)
  const sink = await FileSink.create({ out, maxBytes: MAX_BYTES })
  try {
    await unpackModel({ path, archive, maxBytes: MAX_BYTES, signal: undefined }, sink)
    await sink.seal()
    await sink.place()
  } finally {
    await sink.discard()
  }
  return readFileSync(out)
}

async function failureOf(bytes: Buffer, archive: Archive = plain): Promise<FetchError> {
  const failure = await unpacked(bytes, archive).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(FetchError)
  return failure as FetchError
}

test('the model is taken whole, whatever comes before and after it', async () => {
  const sizes = fc.array(fc.oneof(fc.constantFrom(0, 1, 511, 512, 513), fc.nat(150_000)), { maxLength: 4 })
  await fc.assert(
    fc.asyncProperty(sizes, fc.nat(200_000), sizes, async (before, sizeBytes, after) => {
      const model = randomBytes(sizeBytes)
      const others = (place: string, each: readonly number[]) =>
        each.map((size, index) => ({ name: `${place}/${index}`, body: randomBytes(size) }))
      const members = [...others('before', before), { name: 'm/model.onnx', body: model }, ...others('after', after)]
      expect((await unpacked(await tarOf(members))).equals(model)).toBe(true)
    }),
    { numRuns: 40 },
  )
})

test.each([
  ['gzip', gzipSync],
  ['zstd', zstdCompressSync],
] as const)('an archive compressed by %s is read', async (compression, compress) => {
  const body = randomBytes(100_000)
  const tar = await tarOf([{ name: './model.onnx', body }])
  expect((await unpacked(compress(tar), { compression })).equals(body)).toBe(true)
})

test('of several models the named one is taken', async () => {
  const models = ['a.onnx', 'b.onnx'].map((name) => ({ name, body: randomBytes(1_000) }))
  const tar = await tarOf(models)
  expect(await unpacked(tar, { ...plain, member: 'a.onnx' })).toEqual(models[0]?.body)
  expect((await failureOf(tar)).message).toContain('a.onnx, b.onnx')
  expect(await failureOf(tar, { ...plain, member: 'c.onnx' })).toMatchObject({ reason: 'NotFound' })
})

test('an archive that unpacks to far more than the limit is refused', async () => {
  const bomb = gzipSync(await tarOf([{ name: 'padding', body: Buffer.alloc(3 * MAX_BYTES) }]))
  expect(bomb.length).toBeLessThan(MAX_BYTES / 10)
  expect(await failureOf(bomb, { compression: 'gzip' })).toMatchObject({ reason: 'TooLarge' })
  const large = await tarOf([{ name: 'm.onnx', body: Buffer.alloc(MAX_BYTES + 1) }])
  expect(await failureOf(large)).toMatchObject({ reason: 'TooLarge' })
})

test('a damaged archive is refused, wherever it ends', async () => {
  const tar = await tarOf([
    { name: 'readme', body: randomBytes(700) },
    { name: 'm.onnx', body: randomBytes(5_000) },
  ])
  const gzip = gzipSync(tar)
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: gzip.length - 1 }), async (length) => {
      expect(await failureOf(gzip.subarray(0, length), { compression: 'gzip' })).toMatchObject({
        reason: 'InvalidModel',
      })
    }),
    { numRuns: 40 },
  )
  expect(await failureOf(tar.subarray(0, 3_000))).toMatchObject({ reason: 'InvalidModel' })
  expect(await failureOf(randomBytes(4_096))).toMatchObject({ reason: 'InvalidModel' })
})
