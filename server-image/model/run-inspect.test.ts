import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { runInspect } from './run-inspect.ts'

async function inspecting(name: string, json: boolean): Promise<{ code: number; out: string; err: string }> {
  const out: string[] = []
  const err: string[] = []
  const path = join(import.meta.dirname, 'testdata', `${name}.onnx`)
  const code = await runInspect({ path, json, print: (line) => out.push(line), complain: (line) => err.push(line) })
  return { code, out: out.join('\n'), err: err.join('\n') }
}

test('people get a table', async () => {
  const { code, out } = await inspecting('columns', false)
  expect(code).toBe(0)
  expect(out).toMatch(/^input +city {2}BYTES \[any, 1\]$/m)
  expect(out).toMatch(/^output +output_probability {2}FP32 \[any, 2\]$/m)
  expect(out).toMatch(/^\/predict +classification into 0, 1, 4 features a row$/m)
  expect(out).toMatch(/^note +.*ZipMap/m)
})

test('programs get JSON', async () => {
  const { code, out } = await inspecting('regressor', true)
  expect(code).toBe(0)
  expect(JSON.parse(out)).toMatchObject({
    contract: { inputs: [{ name: 'X', datatype: 'FP32', shape: [-1, 6] }], rewrites: [] },
    signature: { kind: 'tabular', task: 'regression' },
  })
})

test('a model that cannot be served is told so, with exit code 1', async () => {
  expect(await inspecting('opset_27', false)).toMatchObject({
    code: 1,
    out: '',
    err: expect.stringMatching(/^UnsupportedModel: /),
  })
  const { code, out } = await inspecting('missing', true)
  expect(code).toBe(1)
  expect(JSON.parse(out)).toMatchObject({ reason: 'NotFound' })
})
