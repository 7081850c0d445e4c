import { mkdtempSync, readFileSync, rmSync, existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { TERMINATION_MESSAGE_MAX_BYTES, type ModelContract, type ResolveResult } from '../../protocol/resolve.ts'
import { fitResult } from './judge.ts'
import { runFetch, type FetchArguments } from './run-fetch.ts'

const testdata = join(import.meta.dirname, '..', 'model', 'testdata')
const examples = join(import.meta.dirname, '..', '..', 'examples', 'biopsy', 'models')

let folder: string
let terminationLog: string
let lines: string[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fetch-'))
  terminationLog = join(folder, 'termination-log')
  lines = []
})

afterEach(() => rmSync(folder, { recursive: true }))

function running(uri: string, options: Partial<FetchArguments> = {}): Promise<0 | 1> {
  const out = join(folder, 'model.onnx')
  return runFetch({ uri, out, inspect: true, terminationLog, log: (line) => lines.push(line), ...options })
}

const answer = () => JSON.parse(readFileSync(terminationLog, 'utf8')) as ResolveResult

describe('fetch --inspect', () => {
  test('answers with the contract as it is served', async () => {
    expect(await running(join(testdata, 'forest20.onnx'))).toBe(0)
    expect(answer()).toEqual({
      ok: true,
      uri: join(testdata, 'forest20.onnx'),
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      sizeBytes: readFileSync(join(testdata, 'forest20.onnx')).length,
      contract: {
        inputs: [{ name: 'X', datatype: 'FP32', shape: [-1, 20] }],
        outputs: [
          { name: 'output_label', datatype: 'INT64', shape: [-1] },
          { name: 'output_probability', datatype: 'FP32', shape: [-1, 2] },
        ],
        opsets: { '': 9, 'ai.onnx.ml': 1 },
        irVersion: 10,
        rewrites: ['ZipMap'],
      },
    })
    expect(lines.join()).toContain('loads and computes')
  })

  test.each([
    ['v1', 0],
    ['v2', 0],
    ['v3', 1],
    ['v4', 0],
  ])('example model %s: exit code %i', async (version, exitCode) => {
    expect(await running(join(examples, `${version}.onnx`))).toBe(exitCode)
    expect(answer().ok).toBe(exitCode === 0)
  })

  test.each([
    ['wrong_shapes', 'InvalidModel'],
    ['sequence_output', 'UnsupportedModel'],
    ['nothing', 'NotFound'],
  ])('%s: %s', async (name, reason) => {
    expect(await running(join(testdata, `${name}.onnx`))).toBe(1)
    expect(answer()).toMatchObject({ ok: false, reason, message: expect.stringMatching(/^[^\n]{20,}$/) })
    expect(lines.at(-1)).toContain(reason)
  })

  test('a model that no made-up row satisfies but one is accepted', async () => {
    expect(await running(join(testdata, 'unknown_category.onnx'))).toBe(0)
  })
})

describe('fetch without --inspect', () => {
  test('says nothing on success', async () => {
    expect(await running(join(testdata, 'wrong_shapes.onnx'), { inspect: false })).toBe(0)
    expect(existsSync(terminationLog)).toBe(false)
  })

  test('tells why it failed', async () => {
    expect(await running('ftp://host/model.onnx', { inspect: false })).toBe(1)
    expect(answer()).toMatchObject({ ok: false, reason: 'UnsupportedSource' })
  })

  test('fails no less when the termination log cannot be written', async () => {
    expect(await running('ftp://b/m', { terminationLog: join(folder, 'no', 'log') })).toBe(1)
    expect(lines.join()).toContain('cannot be written')
  })
})

test('every answer fits a termination message, and says what was cut', () => {
  const tensor = fc.record({
    name: fc.string({ maxLength: 400, unit: 'grapheme' }),
    datatype: fc.constantFrom('FP32', 'BYTES'),
    shape: fc.array(fc.constantFrom(-1, 1, 512), { maxLength: 6 }),
  })
  const contracts: fc.Arbitrary<ModelContract> = fc.record({
    inputs: fc.array(tensor, { maxLength: 200 }),
    outputs: fc.array(tensor, { maxLength: 50 }),
    opsets: fc.dictionary(fc.string({ maxLength: 200 }), fc.nat(30), { maxKeys: 40 }),
    irVersion: fc.nat(13),
    rewrites: fc.constant(['ZipMap']),
  })
  const uris = fc.stringMatching(/^[a-z/]{1,2000}$/)
  fc.assert(
    fc.property(contracts, uris, (contract, uri) => {
      const whole = { ok: true as const, uri, sha256: 'a'.repeat(64), sizeBytes: 2 ** 31, contract }
      const fitted = fitResult(whole)
      expect(Buffer.byteLength(JSON.stringify(fitted))).toBeLessThanOrEqual(TERMINATION_MESSAGE_MAX_BYTES)
      if (Buffer.byteLength(JSON.stringify(whole)) <= TERMINATION_MESSAGE_MAX_BYTES)
        return expect(fitted).toEqual(whole)
      expect(fitted.contract).toMatchObject({
        truncated: true,
        inputCount: contract.inputs.length,
        outputCount: contract.outputs.length,
      })
      expect(contract.inputs.slice(0, fitted.contract.inputs.length)).toEqual(fitted.contract.inputs)
    }),
  )
})
