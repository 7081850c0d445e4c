import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { loadModel } from './session.ts'
import { warmUp } from './warm-up.ts'

const load = (name: string) => loadModel({ path: join(import.meta.dirname, 'testdata', `${name}.onnx`) })

describe('warming up', () => {
  test.each([
    'forest20',
    'columns',
    'strings',
    'any_width',
    'fixed_batch_8',
    'every_datatype',
    'multi_output',
    'unknown_category',
  ])('%s runs', async (name) => {
    expect(warmUp(await load(name))).toEqual({ outcome: 'ran' })
  })

  test('does not guess the size of an image', async () => {
    expect(warmUp(await load('dynamic_image'))).toMatchObject({ outcome: 'skipped' })
  })

  test('tries ones when the model refuses zeros', async () => {
    const model = await load('unknown_category')
    const seen: number[] = []
    const picky: typeof model = {
      ...model,
      run(feeds, outputs) {
        const code = Number(feeds['code']?.data[0])
        seen.push(code)
        if (code === 0) throw new Error('no such code')
        return model.run(feeds, outputs)
      },
    }
    expect(warmUp(picky)).toEqual({ outcome: 'ran' })
    expect(seen).toEqual([0, 1])
  })

  test('tells why a model computes with neither', async () => {
    const model = await load('mlp20')
    const broken: typeof model = {
      ...model,
      run: () => {
        throw new Error('broken\nfor good')
      },
    }
    expect(warmUp(broken)).toEqual({ outcome: 'failed', reason: 'broken for good' })
  })
})
