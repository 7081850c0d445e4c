import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { inspectBytes } from './inspect.ts'
import { rewriteOutputs, type Rewriting } from './rewrite.ts'

const read = (name: string) => readFileSync(join(import.meta.dirname, 'testdata', `${name}.onnx`))
const rewrite = (name: string): Rewriting => rewriteOutputs(read(name), inspectBytes(read(name)))

describe('rewriting', () => {
  test.each(['regressor', 'mlp20', 'forest20_no_zipmap', 'nested'])('leaves %s as it is, uncopied', (name) => {
    const bytes = read(name)
    const rewriting = rewriteOutputs(bytes, inspectBytes(bytes))
    expect(rewriting.bytes).toBe(bytes)
    expect(rewriting).toMatchObject({ rewrites: [], notes: [] })
  })

  test('replaces a ZipMap and its output, and nothing else', () => {
    const before = inspectBytes(read('forest20'))
    const after = inspectBytes(rewrite('forest20').bytes)
    expect(after.outputs.map(({ name }) => name)).toEqual(['output_label', 'output_probability'])
    expect(after.outputs[0]).toEqual(before.outputs[0])
    expect(after.outputs[1]?.type).toMatchObject({ kind: 'tensor', datatype: 'FP32', shape: [-1, 2] })
    expect(after.nodes.map(({ operator }) => operator)).toEqual(['TreeEnsembleClassifier', 'Cast', 'Identity'])
    expect({ ...after, nodes: 0, outputs: 0, operators: 0, sizeBytes: 0 }).toEqual({
      ...before,
      nodes: 0,
      outputs: 0,
      operators: 0,
      sizeBytes: 0,
    })
    expect(after.nodes.slice(0, 2)).toEqual(before.nodes.slice(0, 2))
  })

  test('keeps the labels of each of several ZipMaps', () => {
    const { classLabels, rewrites, notes } = rewrite('several_zipmaps')
    expect([...classLabels]).toEqual([
      ['first', [0, 1, 2]],
      ['second', [7, 8, 9]],
    ])
    expect(rewrites).toEqual(['ZipMap'])
    expect(notes).toHaveLength(2)
  })

  test('imports the default domain where Identity would lack it', () => {
    expect(inspectBytes(read('bare_zipmap')).opsets).toEqual({ 'ai.onnx.ml': 3 })
    expect(inspectBytes(rewrite('bare_zipmap').bytes).opsets).toEqual({ '': 1, 'ai.onnx.ml': 3 })
  })

  test('makes an output of each element of a sequence', () => {
    const { bytes, rewrites } = rewrite('multi_output')
    expect(rewrites).toEqual(['SequenceConstruct'])
    expect(inspectBytes(bytes).outputs.map(({ name, type }) => [name, type.kind])).toEqual([
      ['label', 'tensor'],
      ['probabilities_0', 'tensor'],
      ['probabilities_1', 'tensor'],
    ])
  })

  test('is done once: a rewritten model needs no rewrite', () => {
    const { bytes } = rewrite('forest20')
    expect(rewriteOutputs(bytes, inspectBytes(bytes)).bytes).toBe(bytes)
  })
})
