import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import fc from 'fast-check'
import { inspectBytes, inspectModel, type ModelSummary } from './inspect.ts'
import { ModelError } from './model-error.ts'
import { rewriteOutputs } from './rewrite.ts'
import { scanModel } from './scan.ts'
import { readSignature } from './signature.ts'

const testdata = join(import.meta.dirname, 'testdata')
const pathOf = (name: string) => join(testdata, `${name}.onnx`)
const read = (name: string) => readFileSync(pathOf(name))

describe('inspect tells', () => {
  test('inputs, outputs, versions and operators', async () => {
    const summary = await inspectModel(pathOf('text_labels'))
    expect(summary).toMatchObject({
      sizeBytes: read('text_labels').length,
      irVersion: 10,
      producer: { name: 'skl2onnx', version: '1.20.0' },
      opsets: { 'ai.onnx.ml': 1 },
      inputs: [{ name: 'X', type: { kind: 'tensor', datatype: 'FP32', shape: [-1, 4] } }],
      outputs: [
        { name: 'output_label', type: { kind: 'tensor', datatype: 'BYTES', shape: [-1] } },
        { name: 'output_probability', type: { kind: 'sequence', of: { kind: 'map', key: 'BYTES' } } },
      ],
    })
    expect(Object.keys(summary.operators)).toContain('ai.onnx.ml.ZipMap')
    expect(summary.nodes.find(({ operator }) => operator === 'ZipMap')?.classLabels).toEqual(['blue', 'grün', 'red'])
  })

  test('no initializer among the inputs', async () => {
    const { inputs } = await inspectModel(pathOf('initializers_as_inputs'))
    expect(inputs.map(({ name }) => name)).toEqual(['x'])
  })

  test('the operators of branches and local functions', async () => {
    const { operators, localFunctions } = await inspectModel(pathOf('nested'))
    expect(operators).toEqual({ Add: 2, 'com.example.Twice': 1, ReduceSum: 1, Greater: 1, If: 1 })
    expect(localFunctions).toEqual(['com.example.Twice'])
  })

  test('which tensors are in other files', async () => {
    const { externalTensors } = await inspectModel(pathOf('external'))
    expect(externalTensors).toContainEqual({ tensor: 'w1', location: 'external.weights' })
    expect(externalTensors).toHaveLength(4)
  })

  test('the same whether it is given the path or the bytes', async () => {
    expect(await inspectModel(pathOf('forest20'))).toEqual(await inspectModel(read('forest20')))
  })
})

/** The reason and message that reading these bytes ends with. */
function failureOf(bytes: Uint8Array): ModelError {
  try {
    inspectBytes(bytes)
  } catch (error) {
    expect(error).toBeInstanceOf(ModelError)
    return error as ModelError
  }
  throw new Error('The bytes were accepted.')
}

describe('inspect says what else a file is', () => {
  test.each([
    ['nothing', '', 'is empty'],
    ['a Git LFS pointer', 'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n', 'git lfs pull'],
    ['a page', '\n  <!DOCTYPE html>\n<html>', 'HTML page'],
    ['an object store error', '<?xml version="1.0"?><Error><Code>AccessDenied', 'XML document'],
    ['gzip', '\x1f\x8b\x08\0\0\0\0', 'compressed with gzip'],
    ['zip', 'PK\x03\x04\x14\0', 'zip archive'],
    ['a pickle', '\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c', 'Python pickle'],
    ['HDF5', '\x89HDF\r\n\x1a\n\0', 'HDF5'],
    ['TensorFlow Lite', '\x1c\0\0\0TFL3', 'TensorFlow Lite'],
    ['the ORT format', '\x1c\0\0\0ORTM', 'ORT format'],
    ['GGUF', 'GGUF\x03\0\0\0', 'GGUF'],
    ['safetensors', '\x10\0\0\0\0\0\0\0{"a":{"dtype":"F32"}}', 'safetensors'],
    ['JSON', '{"learner": {}}', 'JSON document'],
    ['LightGBM text', 'tree\nversion=v4\n', 'LightGBM'],
    ['other text', 'models/fraud.onnx\n', 'text file'],
  ])('%s', (_, head, message) => {
    expect(failureOf(Buffer.from(head, 'latin1')).message).toContain(message)
  })
})

/** The content is copied once, so that deep nesting is made in no time. */
const field = (number: number, content: Uint8Array) =>
  Buffer.concat([new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(content.length).finish(), content])
const varint = (number: number, value: number) => new BinaryWriter().tag(number, WireType.Varint).int64(value).finish()
const model = (...parts: Uint8Array[]) => Buffer.concat([varint(1, 10), ...parts])
const output = field(12, field(1, Buffer.from('y')))

describe('inspect refuses', () => {
  test.each<[string, Uint8Array, string]>([
    ['a model without a graph', varint(1, 10), 'no graph'],
    ['two graphs in one file', model(field(7, output), field(7, output)), 'more than one graph'],
    ['a model without outputs', model(field(7, Buffer.alloc(0))), 'no outputs'],
    ['an IR version beyond reason', Buffer.concat([varint(1, 2 ** 40), field(7, output)]), 'IR version'],
    ['a name that is too long', model(field(7, field(2, Buffer.alloc(70_000, 'a')))), '70000 bytes long'],
    ['bytes cut short', read('mlp20').subarray(0, 2_000), 'cut short'],
  ])('%s', (_, bytes, message) => {
    expect(failureOf(bytes)).toMatchObject({ reason: 'InvalidModel', message: expect.stringContaining(message) })
  })

  test('graphs nested in graphs without end', () => {
    let graph: Uint8Array = output
    for (let depth = 0; depth < 5_000; depth += 1) graph = field(1, field(5, field(6, graph)))
    expect(failureOf(model(field(7, graph)))).toMatchObject({
      reason: 'UnsupportedModel',
      message: expect.stringContaining('levels deep'),
    })
  })

  test('types nested in types without end', () => {
    let type: Uint8Array = Buffer.alloc(0)
    for (let depth = 0; depth < 5_000; depth += 1) type = field(4, field(1, type))
    expect(failureOf(model(field(7, field(12, field(2, type)))))).toMatchObject({
      reason: 'UnsupportedModel',
      message: expect.stringContaining('levels deep'),
    })
  })

  test('more nodes than it reads', () => {
    const nodes = Buffer.alloc(2 * 1_000_001)
    for (let at = 0; at < nodes.length; at += 2) nodes[at] = (1 << 3) | WireType.LengthDelimited
    expect(failureOf(model(field(7, nodes)))).toMatchObject({
      reason: 'UnsupportedModel',
      message: expect.stringContaining('nodes'),
    })
  })
})

describe('inspect reads on, as any protobuf reader does, past', () => {
  const shaped = (...sizes: number[]) => {
    const shape = Buffer.concat(sizes.map((size) => field(1, varint(1, size))))
    const tensor = Buffer.concat([varint(1, 1), field(2, shape)])
    return field(12, Buffer.concat([field(1, Buffer.from('y')), field(2, field(1, tensor))]))
  }

  test('fields of another wire type than theirs', () => {
    const odd = Buffer.concat([field(1, Buffer.from('text')), varint(2, 3), varint(7, 1), varint(8, 1), varint(14, 1)])
    expect(inspectBytes(Buffer.concat([odd, model(field(7, output))]))).toMatchObject({ irVersion: 10, opsets: {} })
  })

  test('fields that it does not know, groups among them', () => {
    const group = new BinaryWriter()
      .tag(900, WireType.StartGroup)
      .tag(1, WireType.Varint)
      .int64(5)
      .tag(900, WireType.EndGroup)
    expect(inspectBytes(Buffer.concat([model(field(7, output)), group.finish()])).outputs).toHaveLength(1)
  })

  test('dimensions of no size, which may vary', () => {
    const [value] = inspectBytes(model(field(7, shaped(0, -1, 5)))).outputs
    expect(value?.type).toMatchObject({ kind: 'tensor', shape: [-1, -1, 5] })
  })
})

/** All that is done with a model's bytes before ONNX Runtime gets them. */
function readThrough(bytes: Uint8Array): ModelSummary {
  const summary = inspectBytes(bytes)
  scanModel(summary)
  const rewriting = rewriteOutputs(bytes, summary)
  const rewritten = inspectBytes(rewriting.bytes)
  readSignature(rewritten, rewriting.classLabels)
  return rewritten
}

function outcomeOf(bytes: Uint8Array): unknown {
  try {
    return readThrough(bytes)
  } catch (error) {
    return error
  }
}

describe('damaged bytes', () => {
  const seeds = readdirSync(testdata)
    .filter((name) => name.endsWith('.onnx') && name !== 'forest20.onnx')
    .map((name) => readFileSync(join(testdata, name)))
  const seed = fc.constantFrom(...seeds)
  const edit = fc.record({
    at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
    kind: fc.constantFrom('set', 'insert', 'delete', 'repeat', 'cut'),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 12 }),
  })
  type Edit = typeof edit extends fc.Arbitrary<infer T> ? T : never

  function apply(bytes: Uint8Array, { at, kind, bytes: extra }: Edit): Uint8Array {
    const offset = Math.floor(at * bytes.length)
    const [head, tail] = [bytes.subarray(0, offset), bytes.subarray(offset)]
    switch (kind) {
      case 'set':
        return Buffer.concat([head, extra, tail.subarray(extra.length)])
      case 'insert':
        return Buffer.concat([head, extra, tail])
      case 'delete':
        return Buffer.concat([head, tail.subarray(extra.length)])
      case 'repeat':
        return Buffer.concat([head, tail.subarray(0, 64), tail])
      case 'cut':
        return head
      default:
        return kind satisfies never
    }
  }

  test('end in a model or in a ModelError of one line, never in anything else', () => {
    const reasons = new Set<string>()
    fc.assert(
      fc.property(seed, fc.array(edit, { minLength: 1, maxLength: 4 }), (bytes, edits) => {
        const outcome = outcomeOf(edits.reduce<Uint8Array>(apply, bytes))
        if (!(outcome instanceof Error)) return
        expect(outcome).toBeInstanceOf(ModelError)
        expect(outcome.message).toMatch(/^[^\n\r]{10,600}$/)
        reasons.add((outcome as ModelError).reason)
      }),
      { numRuns: 4_000 },
    )
    expect([...reasons].sort()).toEqual(['InvalidModel', 'UnsupportedModel'])
  })

  test('of no model at all end in a ModelError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(outcomeOf(bytes)).toBeInstanceOf(ModelError)
      }),
      { numRuns: 2_000 },
    )
  })
})
