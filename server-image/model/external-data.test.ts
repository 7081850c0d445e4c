import {
  copyFileSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { readExternalFiles } from './external-data.ts'
import { inspectBytes, type ModelSummary } from './inspect.ts'
import { ModelError } from './model-error.ts'
import { readModel } from './prepare.ts'
import { loadModel } from './session.ts'

const testdata = join(import.meta.dirname, 'testdata')
const original = inspectBytes(readFileSync(join(testdata, 'external.onnx')))

let parent: string
let folder: string
let modelPath: string

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'external-'))
  folder = join(parent, 'models')
  modelPath = join(folder, 'model.onnx')
  mkdirSync(folder)
  copyFileSync(join(testdata, 'external.onnx'), modelPath)
  writeFileSync(join(parent, 'secret'), 'not for models')
})

afterEach(() => rmSync(parent, { recursive: true }))

const withLocation = (location: string): ModelSummary => ({ ...original, externalTensors: [{ tensor: 'w', location }] })

async function failureOf(
  summary: ModelSummary,
  path: string | undefined = modelPath,
  maxBytes = 1e6,
): Promise<ModelError> {
  const failure = await readExternalFiles(summary, path, maxBytes).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(ModelError)
  return failure as ModelError
}

test('a file beside the model, or in a folder beside it, is read', async () => {
  mkdirSync(join(folder, 'data'))
  writeFileSync(join(folder, 'data', 'weights'), 'abc')
  const [file] = await readExternalFiles(withLocation('data/weights'), modelPath, 1e6)
  expect(file?.location).toBe('data/weights')
  expect(Buffer.from(file?.bytes ?? []).toString()).toBe('abc')
})

describe('refused is', () => {
  test.each([
    '../secret',
    'data/../../secret',
    '/etc/passwd',
    './weights',
    'data//weights',
    'C:\\weights',
    'c:/weights',
    '..\\secret',
    '',
    '.',
    'a\0b',
    'file:///etc/passwd',
  ])('the location %j', async (location) => {
    expect(await failureOf(withLocation(location))).toMatchObject({
      reason: 'InvalidModel',
      message: expect.stringContaining('only plain relative paths'),
    })
  })

  test('a symbolic link', async () => {
    symlinkSync(join(parent, 'secret'), join(folder, 'weights'))
    expect((await failureOf(withLocation('weights'))).message).toContain('a link')
  })

  test('a folder that is a symbolic link', async () => {
    symlinkSync(parent, join(folder, 'data'))
    expect((await failureOf(withLocation('data/secret'))).message).toContain('a link')
  })

  test('a hard link', async () => {
    linkSync(join(parent, 'secret'), join(folder, 'weights'))
    expect((await failureOf(withLocation('weights'))).message).toContain('a link')
  })

  test('a directory', async () => {
    mkdirSync(join(folder, 'weights'))
    expect((await failureOf(withLocation('weights'))).message).toContain('no regular file')
  })

  test('a file that is not there', async () => {
    expect((await failureOf(original)).message).toContain('"external.weights", which is not readable beside it')
  })

  test('a model without a folder', async () => {
    expect(
      (await readExternalFiles(original, undefined, 1e6).catch((error: unknown) => error)) instanceof ModelError,
    ).toBe(true)
  })

  test('more data than the limit allows', async () => {
    copyFileSync(join(testdata, 'external.weights'), join(folder, 'external.weights'))
    expect((await failureOf(original, modelPath, 1000)).reason).toBe('TooLarge')
  })
})

test('data that is shorter than the model says ends in a ModelError', async () => {
  copyFileSync(join(testdata, 'external.weights'), join(folder, 'external.weights'))
  truncateSync(join(folder, 'external.weights'), 100)
  await expect(loadModel({ path: modelPath })).rejects.toBeInstanceOf(ModelError)
})

test('nothing of the files is held when the model is loaded', async () => {
  copyFileSync(join(testdata, 'external.weights'), join(folder, 'external.weights'))
  const read = await readModel({ path: modelPath })
  const model = await loadModel({ path: modelPath }, read)
  expect(read.bytes).toHaveLength(0)
  const feeds = { x: { datatype: 'FP32', shape: [1, 20], data: new Float32Array(20).fill(1) } } as const
  const whole = await loadModel({ path: join(testdata, 'mlp20.onnx') })
  expect(model.run(feeds)).toEqual(whole.run(feeds))
  model.dispose()
  whole.dispose()
})
