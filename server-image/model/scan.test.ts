import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { inspectBytes } from './inspect.ts'
import { ModelError } from './model-error.ts'
import { prepareModel, type PreparedModel } from './prepare.ts'
import { RUNTIME_LIMITS, scanModel } from './scan.ts'
import { openSession } from './session.ts'

interface Versions {
  readonly irVersion: number
  readonly opset: number
  readonly mlOpset: number
}

const inside = (outer: BinaryWriter, number: number) => outer.tag(number, WireType.LengthDelimited).fork()

/** y = Binarizer(x): one operator of ai.onnx.ml, so that both opsets are asked for. */
function modelOf({ irVersion, opset, mlOpset }: Versions): Uint8Array {
  const writer = new BinaryWriter().tag(1, WireType.Varint).int64(irVersion)
  const graph = inside(writer, 7)
  const node = inside(graph, 1)
  node.tag(1, WireType.LengthDelimited).string('x').tag(2, WireType.LengthDelimited).string('y')
  node.tag(4, WireType.LengthDelimited).string('Binarizer').tag(7, WireType.LengthDelimited).string('ai.onnx.ml')
  node.join()
  graph.tag(2, WireType.LengthDelimited).string('g')
  for (const [number, name] of [
    [11, 'x'],
    [12, 'y'],
  ] as const) {
    const value = inside(graph, number).tag(1, WireType.LengthDelimited).string(name)
    inside(inside(value, 2), 1).tag(1, WireType.Varint).int32(1).join().join().join()
  }
  graph.join()
  inside(writer, 8).tag(2, WireType.Varint).int64(opset).join()
  inside(writer, 8).tag(1, WireType.LengthDelimited).string('ai.onnx.ml').tag(2, WireType.Varint).int64(mlOpset).join()
  return writer.finish()
}

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'scan-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

describe("the limits are ONNX Runtime's own", () => {
  const open = async (versions: Versions) => {
    const path = join(folder, 'model.onnx')
    writeFileSync(path, modelOf({ irVersion: 10, opset: 20, mlOpset: 3 }))
    const prepared: PreparedModel = { ...(await prepareModel({ path })), bytes: modelOf(versions) }
    openSession(prepared).dispose()
  }

  test('it loads what is at the limit', async () => {
    await open(RUNTIME_LIMITS)
  })

  test.each(['irVersion', 'opset', 'mlOpset'] as const)('it and the scan refuse the next %s', async (which) => {
    const beyond = { ...RUNTIME_LIMITS, [which]: RUNTIME_LIMITS[which] + 1 }
    await expect(open(beyond)).rejects.toBeInstanceOf(ModelError)
    expect(() => scanModel(inspectBytes(modelOf(beyond)))).toThrow(
      `${RUNTIME_LIMITS[which] + 1}, but this server supports up to`,
    )
    expect(() => scanModel(inspectBytes(modelOf(RUNTIME_LIMITS)))).not.toThrow()
  })
})

test.each(['forest20', 'columns', 'strings', 'nested', 'external', 'every_datatype'])('%s passes', (name) => {
  const bytes = readFileSync(join(import.meta.dirname, 'testdata', `${name}.onnx`))
  expect(() => scanModel(inspectBytes(bytes))).not.toThrow()
})
