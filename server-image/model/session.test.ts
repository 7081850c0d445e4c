import { createHash } from 'node:crypto'
import { appendFileSync, copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { ModelError } from './model-error.ts'
import type { RunOptions } from './run-options.ts'
import { readModel } from './prepare.ts'
import { loadModel, runtimeMessage } from './session.ts'
import { emptyData, type Datatype, type Tensor, type TensorData } from './tensor.ts'

interface TensorJson {
  readonly datatype: Datatype
  readonly shape: readonly number[]
  readonly data: readonly (string | number)[]
  readonly classLabels?: readonly string[]
}

interface Expectation {
  readonly inputs: Record<string, TensorJson>
  readonly outputs: Record<string, TensorJson>
}

const testdata = join(import.meta.dirname, 'testdata')
const expected = JSON.parse(readFileSync(join(testdata, 'expected.json'), 'utf8')) as Record<string, Expectation>
const pathOf = (name: string) => join(testdata, `${name}.onnx`)

function fromJson({ datatype, shape, data }: TensorJson): Tensor {
  const values: TensorData = emptyData(datatype, data.length)
  data.forEach((value, index) => {
    values[index] = datatype === 'INT64' || datatype === 'UINT64' ? BigInt(value) : value
  })
  return { datatype, shape, data: values }
}

function mapValues<T, U>(record: Readonly<Record<string, T>>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]))
}

/** The largest difference between two tensors' values; Infinity when they are not comparable or a text differs. */
function distance(actual: Tensor | undefined, wanted: TensorJson): number {
  if (actual === undefined || actual.data.length !== wanted.data.length) return Infinity
  const differences = Array.from(actual.data as ArrayLike<unknown>, (value, index) => {
    const other = wanted.data[index]
    if (typeof value === 'number' && typeof other === 'number') return Math.abs(value - other)
    return String(value) === String(other) ? 0 : Infinity
  })
  return Math.max(0, ...differences)
}

describe('a loaded model answers as ONNX Runtime does in Python', () => {
  test.each(Object.keys(expected))('%s', async (name) => {
    const { inputs, outputs } = expected[name] as Expectation
    const model = await loadModel({ path: pathOf(name) })
    const answers = model.run(mapValues(inputs, fromJson))
    model.dispose()

    expect(Object.keys(answers)).toEqual(Object.keys(outputs))
    expect(mapValues(answers, ({ datatype, shape }) => ({ datatype, shape }))).toEqual(
      mapValues(outputs, ({ datatype, shape }) => ({ datatype, shape })),
    )
    for (const [output, wanted] of Object.entries(outputs)) {
      expect({ output, isClose: distance(answers[output], wanted) < 1e-5 }).toEqual({ output, isClose: true })
    }
  })

  test('and keeps the class labels that a ZipMap had', async () => {
    for (const name of [
      'forest20',
      'text_labels',
      'huge_labels',
      'lightgbm_style',
      'mlp_classifier',
      'columns',
      'strings',
    ]) {
      const { outputs } = expected[name] as Expectation
      const labels = Object.values(outputs).find(({ classLabels }) => classLabels !== undefined)?.classLabels
      const model = await loadModel({ path: pathOf(name) })
      const kept = model.signature.kind === 'tabular' ? model.signature.classLabels?.map(String) : undefined
      expect([name, kept]).toEqual([name, labels])
    }
  })
})

describe('a loaded model', () => {
  test('tells the digest and the size of the file as it is on disk', async () => {
    const bytes = readFileSync(pathOf('forest20'))
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const model = await loadModel({ path: pathOf('forest20'), expectedSha256: sha256.toUpperCase() })
    expect(model.sha256).toBe(sha256)
    expect(model.sizeBytes).toBe(bytes.length)
    expect(model.contract.rewrites).toEqual(['ZipMap'])
    expect(model.notes.join()).toContain('"output_probability"')
  })

  test('computes only the outputs that are asked for', async () => {
    const model = await loadModel({ path: pathOf('forest20') })
    const answers = model.run({ X: { datatype: 'FP32', shape: [1, 20], data: new Float32Array(20) } }, ['output_label'])
    expect(Object.keys(answers)).toEqual(['output_label'])
  })

  test.each<RunOptions>([
    { intraOpThreads: 2 },
    { executionMode: 'parallel' },
    { executionMode: 'parallel', interOpThreads: 2, intraOpThreads: 2 },
  ])('uses several threads when told so: %j', async (options) => {
    const model = await loadModel({ path: pathOf('forest20'), ...options })
    const answers = model.run({ X: { datatype: 'FP32', shape: [3, 20], data: new Float32Array(60) } })
    expect(answers['output_probability']?.shape).toEqual([3, 2])
    model.dispose()
  })

  test('explains a run that fails in the words of ONNX Runtime', async () => {
    const model = await loadModel({ path: pathOf('unknown_category') })
    const feed = (code: number) =>
      ({ code: { datatype: 'FP32', shape: [1, 1], data: new Float32Array([code]) } }) as const
    expect(() => model.run(feed(9))).toThrow(/Gather.*out of data bounds/)
    expect(Array.from(model.run(feed(4))['probabilities']?.data as Float32Array)[1]).toBeCloseTo(0.7)
  })

  test('refuses feeds that do not fit, and lives on', async () => {
    const model = await loadModel({ path: pathOf('mlp20') })
    const feed = (shape: number[], data: TensorData, datatype: Datatype = 'FP32') => ({ x: { datatype, shape, data } })
    expect(() => model.run({})).toThrow(/x/)
    expect(() => model.run(feed([1, 3], new Float32Array(3)))).toThrow(/dimensions/)
    expect(() => model.run(feed([1, 20], new Float32Array(3)))).toThrow()
    expect(() => model.run(feed([-1, 20], new Float32Array(20)))).toThrow()
    expect(() => model.run(feed([1, 20], new Float64Array(20), 'FP64'))).toThrow(/type/)
    expect(() => model.run(feed([1, 20], new Float32Array(20)), ['nothing'])).toThrow(/nothing/)
    expect(model.run(feed([1, 20], new Float32Array(20)))['scores']?.shape).toEqual([1, 3])
  })

  test('cannot be run after dispose', async () => {
    const model = await loadModel({ path: pathOf('mlp20') })
    model.dispose()
    model.dispose()
    expect(() => model.run({})).toThrow('disposed')
  })
})

describe('loading refuses', () => {
  test.each([
    ['sequence_output', 'UnsupportedModel', 'output "parts" is a sequence'],
    ['map_input', 'UnsupportedModel', 'input "words" is a map'],
    ['zipmap_used', 'UnsupportedModel', 'computes on with the maps of its ZipMap (operator "SequenceAt")'],
    ['custom_operator', 'UnsupportedModel', 'custom operator "com.example.Fancy"'],
    ['bfloat16', 'UnsupportedModel', 'a tensor of ONNX element type 16'],
    ['opset_27', 'UnsupportedModel', 'needs ONNX opset 27, but this server supports up to 26'],
    ['ir_14', 'UnsupportedModel', 'needs ONNX IR version 14, but this server supports up to 13'],
    ['wrong_shapes', 'InvalidModel', 'ONNX Runtime cannot load the model'],
    ['no_such_model', 'NotFound', 'There is no file'],
  ])('%s: %s', async (name, reason, message) => {
    const failure = await loadModel({ path: pathOf(name) }).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(ModelError)
    expect(failure).toMatchObject({ reason, message: expect.stringContaining(message) })
    expect((failure as Error).message).not.toMatch(/\n|onnxruntime_src/)
  })

  test('other bytes than those that were asked for', async () => {
    const wanted = '0'.repeat(64)
    await expect(loadModel({ path: pathOf('mlp20'), expectedSha256: wanted })).rejects.toMatchObject({
      reason: 'DigestMismatch',
      message: expect.stringContaining(wanted),
    })
  })

  test('a file over the size limit, without reading it', async () => {
    await expect(loadModel({ path: pathOf('forest20'), maxBytes: 1000 })).rejects.toMatchObject({ reason: 'TooLarge' })
  })

  test('a directory', async () => {
    await expect(loadModel({ path: testdata })).rejects.toMatchObject({ reason: 'InvalidArgument' })
  })
})

describe('a large file', () => {
  /** A model with a comment of 32 MiB, which is field 6 of ONNX's ModelProto. */
  const large = () => {
    const size = 32 * 1024 * 1024
    const tag = Buffer.from([
      (6 << 3) | 2,
      ...[0, 7, 14, 21].map((bits) => ((size >> bits) & 127) | (bits < 21 ? 128 : 0)),
    ])
    return Buffer.concat([readFileSync(pathOf('mlp20')), tag, Buffer.alloc(size, ' ')])
  }
  let dir: string
  let path: string
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'penstock-large-'))
    path = join(dir, 'model.onnx')
    writeFileSync(path, large())
  })
  afterEach(() => rmSync(dir, { recursive: true }))

  test('is not held in memory while it is loaded, and computes as it says', async () => {
    const read = await readModel({ path })
    const [model, small] = [await loadModel({ path }, read), await loadModel({ path: pathOf('mlp20') })]
    expect([read.bytes.length, model.sizeBytes]).toEqual([0, large().length])
    const feeds = mapValues(expected['mlp20']?.inputs ?? {}, fromJson)
    expect(model.run(feeds)).toEqual(small.run(feeds))
    model.dispose()
    small.dispose()
  })

  test('that becomes another one before it is loaded is not loaded', async () => {
    const changes = [() => appendFileSync(path, ' '), () => renameSync(copyOf(path), path), () => rmSync(path)]
    for (const change of changes) {
      const read = await readModel({ path })
      change()
      await expect(loadModel({ path }, read)).rejects.toMatchObject({ reason: 'Interrupted' })
      writeFileSync(path, large())
    }
  })

  function copyOf(file: string): string {
    copyFileSync(file, `${file}.copy`)
    return `${file}.copy`
  }
})

test("ONNX Runtime's messages lose their C++ origin, not their meaning", () => {
  const raw =
    'Load model from m.onnx failed:/onnxruntime_src/onnxruntime/core/graph/model.cc:202 onnxruntime::Model::Model(onnx::ModelProto&&, ' +
    'const onnxruntime::logging::Logger&) Unsupported model IR version: 14, max supported IR version: 13\n'
  expect(runtimeMessage(new Error(raw))).toBe(
    'Load model from m.onnx failed:Unsupported model IR version: 14, max supported IR version: 13',
  )
})
