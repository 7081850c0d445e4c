import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { openModel } from '../engine/open-model.ts'
import type { OpenedModel } from '../engine/opened-model.ts'
import { modelPath } from '../testing.ts'
import { TensorModel, type TensorJob } from './tensor-model.ts'

const open = (model: string): Promise<OpenedModel> =>
  openModel({
    path: modelPath(model),
    warmUpRuns: 1,
    runtime: {},
    thread: 'never',
    runLimitMs: 60_000,
    onLost: () => undefined,
  })

/** Counts the runs of a model. */
function counting({ engine, facts }: OpenedModel, rowsAreIndependent = true) {
  const runs: number[] = []
  const model = new TensorModel(
    {
      run(feeds, outputs) {
        runs.push(Object.values(feeds)[0]?.shape[0] ?? 0)
        return engine.run(feeds, outputs)
      },
    },
    facts,
    rowsAreIndependent,
  )
  return { model, runs }
}

const job = (values: readonly number[][], outputs?: readonly string[]): TensorJob => ({
  feeds: { x: { datatype: 'FP32', shape: [values.length, 20], data: Float32Array.from(values.flat()) } },
  ...(outputs !== undefined && { outputs }),
})
const row = (seed: number) => Array.from({ length: 20 }, (_, index) => Math.sin(seed * 31 + index))

describe('tensors of several requests', () => {
  test('are computed in one run, and each gets its own rows back, whatever they are', async () => {
    const opened = await open('forest20')
    const [input] = opened.facts.contract.inputs
    const named = (one: TensorJob): TensorJob => ({
      ...one,
      feeds: { [input?.name ?? '']: one.feeds['x'] as TensorJob['feeds'][string] },
    })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 2, maxLength: 8 }), async (sizes) => {
        const jobs = sizes.map((size, request) =>
          named(job(Array.from({ length: size }, (_, index) => row(request * 10 + index)))),
        )
        const { model, runs } = counting(opened)
        const together = await model.run(jobs)
        expect(runs).toEqual([sizes.reduce((sum, size) => sum + size, 0)])
        for (const [index, one] of jobs.entries()) {
          const alone = await opened.engine.run(one.feeds)
          for (const [name, tensor] of Object.entries(alone)) {
            const found = together[index]?.[name]
            expect(found?.shape).toEqual(tensor.shape)
            expect(found?.data.length).toBe(tensor.data.length)
            Array.from(tensor.data as ArrayLike<unknown>).forEach((value, at) => {
              if (typeof value === 'number') expect(found?.data[at]).toBeCloseTo(value, 4)
              else expect(found?.data[at]).toBe(value)
            })
          }
        }
      }),
      { numRuns: 25 },
    )
  })

  test('that ask for different outputs are different runs', async () => {
    const opened = await open('mlp20')
    const { model, runs } = counting(opened)
    const [all, some] = await model.run([job([row(1)]), job([row(2)], ['scores'])])
    expect(runs).toEqual([1, 1])
    expect(Object.keys(some ?? {})).toEqual(['scores'])
    expect(Object.keys(all ?? {})).toEqual(opened.facts.contract.outputs.map(({ name }) => name))
  })

  test('are computed one by one where rows depend on each other', async () => {
    const { model, runs } = counting(await open('mlp20'), false)
    await model.run([job([row(1)]), job([row(2)])])
    expect(runs).toEqual([1, 1])
  })

  test('are computed one by one for ever, once a model gave another number of rows than it was asked', async () => {
    const opened = await open('forest20')
    const runs: number[] = []
    const liar = new TensorModel(
      {
        run(feeds) {
          runs.push(Object.values(feeds)[0]?.shape[0] ?? 0)
          return { y: { datatype: 'FP32', shape: [1], data: new Float32Array(1) } }
        },
      },
      opened.facts,
      true,
    )
    await liar.run([job([row(1)]), job([row(2)])])
    await liar.run([job([row(1)]), job([row(2)])])
    expect(runs).toEqual([2, 1, 1, 1, 1])
  })

  test('whose inputs have different numbers of rows never touch another request', async () => {
    const opened = await open('columns')
    const { model, runs } = counting(opened)
    const feedsWith = (rowsOf: (index: number) => number): TensorJob => ({
      feeds: Object.fromEntries(
        opened.facts.contract.inputs.map(({ name, datatype }, index) => {
          const rows = rowsOf(index)
          const data =
            datatype === 'BYTES'
              ? Array.from({ length: rows }, () => 'Oslo')
              : datatype === 'INT64'
                ? new BigInt64Array(rows)
                : new Float32Array(rows)
          return [name, { datatype, shape: [rows, 1], data } as TensorJob['feeds'][string]]
        }),
      ),
    })
    const good = feedsWith(() => 1)
    const alone = await opened.engine.run(good.feeds)
    const bad = [feedsWith((index) => (index === 0 ? 1 : 2)), feedsWith((index) => (index === 0 ? 2 : 1))]
    await expect(model.run([bad[0] as TensorJob, good, bad[1] as TensorJob])).rejects.toThrow()
    expect(runs.every((rows) => rows <= 2)).toBe(true)
    expect(await model.run([good, good])).toEqual([alone, alone])
  })
})
