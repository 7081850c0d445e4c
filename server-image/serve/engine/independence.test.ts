import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { loadModel } from '../../model/session.ts'
import { madeModel, type MadeModel, type MadeNode, type MadeValue } from '../../model/testing.ts'
import { modelPath } from '../testing.ts'
import { warmUpModel } from './warm-up.ts'

const [FLOAT, INT64] = [1, 7]

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'independence-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

async function warmed(model: MadeModel) {
  const path = join(folder, 'model.onnx')
  writeFileSync(path, madeModel(model))
  return warmUpModel(await loadModel({ path }), 1)
}

const value = (name: string, shape: MadeValue['shape'], elementType = FLOAT): MadeValue => ({
  name,
  elementType,
  shape,
})
const node = (
  operator: string,
  inputs: readonly string[],
  output: string,
  attributes: MadeNode['attributes'] = {},
): MadeNode => ({ operator, inputs, outputs: [output], attributes })

/** One input of images, one output. */
const ofImages = (nodes: readonly MadeNode[], outputShape: MadeValue['shape'], height: number | string = 'h') => ({
  nodes,
  inputs: [value('x', ['n', 3, height, 'w'])],
  outputs: [value('y', outputShape)],
})
/** Ids and a mask of texts, which are added. */
const ofTexts = (nodes: readonly MadeNode[], outputs: readonly MadeValue[]) => ({
  nodes: [node('Add', ['ids', 'mask'], 'sum'), ...nodes],
  inputs: [value('ids', ['batch', 'length'], INT64), value('mask', ['batch', 'length'], INT64)],
  outputs,
})

describe('tensors of several requests may be computed together', () => {
  test.each(['forest20', 'every_datatype', 'multi_output', 'several_zipmaps', 'torch', 'strings', 'columns'])(
    'by %s',
    async (name) => {
      const { tensorsAreIndependent, notes } = warmUpModel(await loadModel({ path: modelPath(name) }), 1)
      expect([tensorsAreIndependent, notes]).toEqual([true, []])
    },
  )

  test.each<[string, MadeModel]>([
    ['of images whose size may vary', ofImages([node('GlobalAveragePool', ['x'], 'y')], ['n', 3, 1, 1])],
    [
      'of images that are no less than a size',
      ofImages([node('MaxPool', ['x'], 'y', { kernel_shape: [20, 20] })], ['n', 3, 'a', 'b']),
    ],
    ['of texts', ofTexts([node('Identity', ['sum'], 'y')], [value('y', ['batch', 'length'], INT64)])],
  ])('by a model %s', async (_what, model) => {
    expect(await warmed(model)).toMatchObject({ tensorsAreIndependent: true })
  })
})

describe('tensors of several requests are kept apart', () => {
  const largest = node('ReduceMax', ['x'], 'all', { keepdims: 0 })
  test.each<[string, MadeModel, RegExp | undefined]>([
    [
      'scales by the largest number of the batch',
      ofImages([largest, node('Div', ['x', 'all'], 'y')], ['n', 3, 'h', 'w']),
      /computes a row differently beside others/,
    ],
    [
      'quantizes by the range of the batch',
      {
        nodes: [
          { operator: 'DynamicQuantizeLinear', inputs: ['x'], outputs: ['q', 'scale', 'zero'] },
          node('DequantizeLinear', ['q', 'scale', 'zero'], 'y'),
        ],
        inputs: [value('x', ['n', 2, 4])],
        outputs: [value('y', ['n', 2, 4])],
      },
      /computes a row differently beside others/,
    ],
    [
      'answers with as many rows as its values demand',
      ofTexts(
        [node('NonZero', ['sum'], 'places'), node('Transpose', ['places'], 'y')],
        [value('y', ['found', 2], INT64)],
      ),
      /computes a row differently beside others/,
    ],
    [
      'has an output as long as its values demand',
      {
        nodes: [node('NonZero', ['x'], 'y')],
        inputs: [value('x', ['n', 4])],
        outputs: [value('y', ['n', 'found'], INT64)],
      },
      /size of an output depends on values/,
    ],
    [
      'takes no image of a made-up size',
      ofImages([node('MaxPool', ['x'], 'y', { kernel_shape: [230, 230] })], ['n', 3, 'a', 'b']),
      /refused the made-up rows/,
    ],
    [
      'takes one image at a time',
      {
        nodes: [node('Identity', ['x'], 'y')],
        inputs: [value('x', [1, 3, 4, 4])],
        outputs: [value('y', [1, 3, 4, 4])],
      },
      undefined,
    ],
    [
      'has an output that is of no row',
      ofTexts([node('ReduceMax', ['sum'], 'y', { keepdims: 0 })], [value('y', [], INT64)]),
      undefined,
    ],
  ])('when the model %s', async (_what, model, note) => {
    const { tensorsAreIndependent, notes } = await warmed(model)
    expect(tensorsAreIndependent).toBe(false)
    const told = notes.filter((each) => each.startsWith('Requests are not batched'))
    expect(told).toEqual(note === undefined ? [] : [expect.stringMatching(note)])
  })
})

test('another output that no prediction is made of keeps tensors apart, not rows', async () => {
  const report = await warmed({
    nodes: [
      node('Softmax', ['x'], 'probabilities', { axis: 1 }),
      node('Shape', ['x'], 'shape'),
      node('Sub', ['shape', 'shape'], 'zeros'),
      node('ReduceMin', ['zeros'], 'axis', { keepdims: 0 }),
      node('CumSum', ['x', 'axis'], 'running'),
    ],
    inputs: [value('x', ['n', 3])],
    outputs: [value('probabilities', ['n', 3]), value('running', ['n', 3])],
  })
  expect(report).toMatchObject({ rowsAreIndependent: true, tensorsAreIndependent: false, notes: [] })
})
