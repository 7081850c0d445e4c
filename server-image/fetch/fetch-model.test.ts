import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { FetchError } from './fetch-error.ts'
import { fetchModel, type FetchOptions } from './fetch-model.ts'

const content = Buffer.from('any bytes at all')
const sha256 = createHash('sha256').update(content).digest('hex')

let folder: string
let source: string
let out: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fetch-'))
  mkdirSync(join(folder, 'in'))
  mkdirSync(join(folder, 'out'))
  source = join(folder, 'in', 'ein Modell.onnx')
  out = join(folder, 'out', 'model.onnx')
  writeFileSync(source, content)
})

afterEach(() => rmSync(folder, { recursive: true }))

async function failureOf(options: Omit<FetchOptions, 'out'>): Promise<FetchError> {
  const failure = await fetchModel({ out, ...options }).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(FetchError)
  expect(readdirSync(join(folder, 'out'))).toEqual([])
  return failure as FetchError
}

describe('fetching a file', () => {
  test.each([
    ['a plain path', (path: string) => path],
    ['a file URL', (path: string) => pathToFileURL(path).href],
  ])('by %s', async (_, toUri) => {
    const result = await fetchModel({ uri: toUri(source), out, sha256: `sha256:${sha256}` })
    expect(result).toMatchObject({ sha256, sizeBytes: content.length, path: out })
    expect(readFileSync(out).equals(content)).toBe(true)
    expect(readdirSync(join(folder, 'out'))).toEqual(['model.onnx'])
  })

  test('through a symbolic link, as volumes of Kubernetes have', async () => {
    symlinkSync(source, join(folder, 'in', 'link'))
    await expect(fetchModel({ uri: join(folder, 'in', 'link'), out })).resolves.toMatchObject({ sha256 })
  })

  test('replaces an older file', async () => {
    writeFileSync(out, 'older')
    await fetchModel({ uri: source, out })
    expect(readFileSync(out).equals(content)).toBe(true)
  })

  test('leaves an older file in place when it fails', async () => {
    writeFileSync(out, 'older')
    await expect(fetchModel({ uri: source, out, sha256: 'b'.repeat(64) })).rejects.toMatchObject({
      reason: 'DigestMismatch',
    })
    expect(readFileSync(out, 'utf8')).toBe('older')
    expect(readdirSync(join(folder, 'out'))).toEqual(['model.onnx'])
  })
})

describe('fetching a file fails with', () => {
  test('NotFound when it is not there', async () => {
    expect(await failureOf({ uri: join(folder, 'nothing') })).toMatchObject({
      reason: 'NotFound',
      message: expect.stringContaining(join(folder, 'nothing')),
    })
    expect((await failureOf({ uri: join(source, 'below-a-file') })).reason).toBe('NotFound')
  })

  test('InvalidArgument for a directory', async () => {
    expect(await failureOf({ uri: folder })).toMatchObject({
      reason: 'InvalidArgument',
      message: expect.stringContaining('a directory'),
    })
  })

  test('InvalidArgument for a pipe, without waiting for a writer', async () => {
    execFileSync('sh', ['-c', 'mkfifo "$0"', join(folder, 'pipe')])
    expect(await failureOf({ uri: join(folder, 'pipe') })).toMatchObject({
      reason: 'InvalidArgument',
      message: expect.stringContaining('a pipe'),
    })
  })

  const isRoot = process.getuid?.() === 0
  ;(isRoot ? test.skip : test)('Forbidden when it may not be read', async () => {
    chmodSync(source, 0o000)
    expect((await failureOf({ uri: source })).reason).toBe('Forbidden')
  })

  test('TooLarge over the limit', async () => {
    expect((await failureOf({ uri: source, maxBytes: content.length - 1 })).reason).toBe('TooLarge')
    await expect(fetchModel({ uri: source, out, maxBytes: content.length })).resolves.toMatchObject({ sha256 })
  })

  test('InvalidArgument when its place does not exist', async () => {
    const missing = join(folder, 'no-folder', 'model.onnx')
    await expect(fetchModel({ uri: source, out: missing })).rejects.toMatchObject({
      reason: 'InvalidArgument',
      message: expect.stringContaining(missing),
    })
  })

  test('Interrupted when it is told to stop', async () => {
    expect((await failureOf({ uri: source, signal: AbortSignal.abort() })).reason).toBe('Interrupted')
  })

  test.each([
    ['ftp://host/model.onnx', 'UnsupportedSource', '"ftp:"'],
    ['constructor:x', 'UnsupportedSource', '"constructor:"'],
    ['HF://org', 'InvalidArgument', 'hf://'],
    ['pvc://claim/model.onnx', 'UnsupportedSource', 'PENSTOCK_PVC_DIR'],
    ['', 'InvalidArgument', 'empty'],
    ['http://', 'InvalidArgument', 'not a valid URL'],
    ['file://host/model.onnx', 'InvalidArgument', 'three slashes'],
    ['file:///a%2Fb', 'InvalidArgument', 'names no local file'],
    ['a\0b', 'InvalidArgument', 'NUL'],
    [`/${'a'.repeat(3000)}`, 'InvalidArgument', 'longer than 2048'],
  ])('%j: %s', async (uri, reason, message) => {
    expect(await failureOf({ uri })).toMatchObject({ reason, message: expect.stringContaining(message) })
  })

  test('InvalidArgument for a digest that is none', async () => {
    expect((await failureOf({ uri: source, sha256: 'latest' })).reason).toBe('InvalidArgument')
  })
})
