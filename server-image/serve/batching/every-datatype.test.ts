import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { loadModel, type LoadedModel } from '../../model/session.ts'
import { emptyData, type Datatype, type Tensor, type Tensors } from '../../model/tensor.ts'
import { madeModel } from '../../model/testing.ts'
import type { AnswerId } from '../../monitor/recent-answers.ts'
import { warmUpModel } from '../engine/warm-up.ts'
import { serveModel, type ServedModel } from '../served-model.ts'
import { modelPath, post, startTestServer, testOptions } from '../testing.ts'

const ID: AnswerId = { sequence: 0, text: 'a', isChosen: false }
const INT64 = 7

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'batching-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** As the server has it, with the rows of each run. */
async function serving(path: string): Promise<{ model: LoadedModel; served: ServedModel; runs: number[] }> {
  const model = await loadModel({ path })
  const runs: number[] = []
  const engine: Pick<LoadedModel, 'run'> = {
    run(feeds, outputs) {
      runs.push(Object.values(feeds)[0]?.shape[0] ?? 0)
      return model.run(feeds, outputs)
    },
  }
  const { tensorsAreIndependent } = warmUpModel(model, 1)
  const batching = { ...testOptions('').batching, maxTensorRows: tensorsAreIndependent ? 64 : 1 }
  const served = serveModel(model, engine, batching, {
    onBatch: () => undefined,
    onClass: () => undefined,
    onAnswer: () => undefined,
  })
  return { model, served, runs }
}

const VALUES: Readonly<Record<Datatype, fc.Arbitrary<number | bigint | string>>> = {
  BOOL: fc.nat(1),
  INT8: fc.integer({ min: -128, max: 127 }),
  INT16: fc.integer({ min: -(2 ** 15), max: 2 ** 15 - 1 }),
  INT32: fc.integer(),
  INT64: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
  UINT8: fc.nat(255),
  UINT16: fc.nat(65_535),
  UINT32: fc.nat(2 ** 31 - 1).map((half) => half * 2 + 1),
  UINT64: fc.bigInt(0n, 2n ** 64n - 1n),
  FP16: fc.integer({ min: -65_504, max: 65_504 }).map(Math.f16round),
  FP32: fc.float(),
  FP64: fc.double(),
  BYTES: fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\0', '')),
}

function tensorOf(datatype: Datatype, rows: number): fc.Arbitrary<Tensor> {
  return fc.array(VALUES[datatype], { minLength: rows * 2, maxLength: rows * 2 }).map((values) => {
    const data = emptyData(datatype, values.length)
    values.forEach((value, index) => ((data as unknown[])[index] = value))
    return { datatype, shape: [rows, 2], data }
  })
}

test('of several requests at once each gets exactly its own rows, of every datatype', async () => {
  const { model, served, runs } = await serving(modelPath('every_datatype'))
  const { inputs } = model.contract
  expect(new Set(inputs.map(({ datatype }) => datatype))).toEqual(new Set(Object.keys(VALUES)))
  const request = fc
    .integer({ min: 1, max: 4 })
    .chain((rows) =>
      fc.record(Object.fromEntries(inputs.map((input) => [input.name, tensorOf(input.datatype as Datatype, rows)]))),
    )
  for (const feeds of fc.sample(request, 10)) await served.infer({ feeds }, ID)
  runs.length = 0
  let asked = 0
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 2, maxLength: 6 }), async (requests) => {
      const alone = requests.map((feeds) => model.run(feeds))
      const together = await Promise.all(requests.map((feeds) => served.infer({ feeds }, ID)))
      expect(together).toEqual(alone)
      asked += requests.length
    }),
    { numRuns: 25, endOnFailure: true },
  )
  expect(runs.length).toBeLessThan(asked / 2)
  model.dispose()
})

test('requests of texts of different lengths are computed apart, those of one length together', async () => {
  const path = join(folder, 'texts.onnx')
  const ids = { name: 'ids', elementType: INT64, shape: ['batch', 'length'] }
  const outputs = [{ ...ids, name: 'y' }]
  writeFileSync(
    path,
    madeModel({ nodes: [{ operator: 'Neg', inputs: ['ids'], outputs: ['y'] }], inputs: [ids], outputs }),
  )
  const { model, served, runs } = await serving(path)
  const ofShape = (rows: number, length: number, first: number): Tensors => ({
    ids: {
      datatype: 'INT64',
      shape: [rows, length],
      data: BigInt64Array.from({ length: rows * length }, (_, index) => BigInt(first + index)),
    },
  })
  for (let run = 0; run < 10; run += 1) await served.infer({ feeds: ofShape(1, 4, 0) }, ID)
  runs.length = 0
  const requests = [ofShape(1, 4, 10), ofShape(2, 7, 20), ofShape(3, 4, 40), ofShape(1, 7, 90)]
  const together = await Promise.all(requests.map((feeds) => served.infer({ feeds }, ID)))
  expect(runs).toEqual([4, 3])
  expect(together).toEqual(requests.map((feeds) => model.run(feeds)))
  model.dispose()
})

test('a model that takes long over a row is not asked for many at once', async () => {
  const path = join(folder, 'slow.onnx')
  const x = { name: 'x', elementType: 1, shape: ['n', 3, 2, 2] }
  writeFileSync(
    path,
    madeModel({
      nodes: [{ operator: 'Neg', inputs: ['x'], outputs: ['y'] }],
      inputs: [x],
      outputs: [{ ...x, name: 'y' }],
    }),
  )
  const model = await loadModel({ path })
  const runs: number[] = []
  const engine: Pick<LoadedModel, 'run'> = {
    run(feeds) {
      const rows = feeds['x']?.shape[0] ?? 0
      runs.push(rows)
      const until = performance.now() + 40 * rows
      while (performance.now() < until);
      return model.run(feeds)
    },
  }
  const nothing = () => undefined
  const observer = { onBatch: nothing, onClass: nothing, onAnswer: nothing }
  const served = serveModel(model, engine, testOptions('').batching, observer)
  const feeds: Tensors = { x: { datatype: 'FP32', shape: [1, 3, 2, 2], data: new Float32Array(12) } }
  await Promise.all(Array.from({ length: 6 }, () => served.infer({ feeds }, ID)))
  expect(Math.max(...runs)).toBeLessThanOrEqual(2)
  model.dispose()
})

test('rows of half precision and of large integers are predicted', async () => {
  const path = join(folder, 'model.onnx')
  const probabilities = [{ name: 'probabilities', elementType: 10, shape: ['n', 3] }]
  writeFileSync(
    path,
    madeModel({
      nodes: [
        { operator: 'Cast', inputs: ['big'], outputs: ['number'], attributes: { to: 10 } },
        { operator: 'Concat', inputs: ['half', 'number'], outputs: ['all'], attributes: { axis: 1 } },
        { operator: 'Softmax', inputs: ['all'], outputs: ['probabilities'], attributes: { axis: 1 } },
      ],
      inputs: [
        { name: 'half', elementType: 10, shape: ['n', 2] },
        { name: 'big', elementType: 13, shape: ['n', 1] },
      ],
      outputs: probabilities,
    }),
  )
  const server = await startTestServer('', { modelPath: path })
  try {
    const predict = (features: readonly unknown[]) => post(`${server.url}/predict`, { features })
    const [first, last] = await Promise.all([predict([5.5, -1, 0]), predict([0, 0.5, 9])])
    expect([first?.json, last?.json]).toMatchObject([{ prediction: 0 }, { prediction: 2 }])
    expect((first?.json as { probability: number }).probability).toBeCloseTo(0.994, 2)
    expect(await predict([65_520, 0, 0])).toMatchObject({
      status: 422,
      json: { error: { message: expect.stringContaining('fits 16-bit floating point') } },
    })
    expect(await predict([0, 0, -1])).toMatchObject({
      status: 422,
      json: { error: { message: expect.stringContaining('an integer from 0 to 9007199254740991') } },
    })
  } finally {
    await server.close()
  }
})
