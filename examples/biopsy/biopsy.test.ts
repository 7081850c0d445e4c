import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { feedsOf, outputsOf, predictionsOf } from '../../server-image/model/rows.ts'
import { loadModel } from '../../server-image/model/session.ts'

interface Provenance {
  readonly models: Record<
    string,
    { readonly sha256: string; readonly holdout?: { readonly accuracy: number; readonly failedRows: number } }
  >
}

const read = (name: string) => readFileSync(join(import.meta.dirname, name), 'utf8')
const pathOf = (version: string) => join(import.meta.dirname, 'models', `${version}.onnx`)
const { models } = JSON.parse(read('provenance.json')) as Provenance

/** Rows of numbers; the last one is the label. */
function csv(name: string): number[][] {
  const [, ...lines] = read(name).trimEnd().split('\n')
  return lines.map((line) => line.split(',').map(Number))
}

/** Share of rows that are predicted right, and number of rows that the model fails on. */
async function judge(version: string, set: string): Promise<{ accuracy: number; failedRows: number }> {
  const model = await loadModel({ path: pathOf(version) })
  const { signature } = model
  if (signature.kind === 'none') throw new Error(signature.reason)
  const predict = (row: number[]): number | string | undefined => {
    try {
      return predictionsOf(signature, model.run(feedsOf(signature, [row]), outputsOf(signature)), 1)[0]?.prediction
    } catch {
      return undefined
    }
  }
  const rows = csv(set)
  const answers = rows.map((row) => predict(row.slice(0, -1)))
  model.dispose()
  const right = answers.filter((answer, index) => answer === rows[index]?.at(-1)).length
  return {
    accuracy: Math.round((right / rows.length) * 1e4) / 1e4,
    failedRows: answers.filter((answer) => answer === undefined).length,
  }
}

describe('the models of the example', () => {
  test.each(Object.keys(models))('%s is the file that its provenance names', (version) => {
    expect(
      createHash('sha256')
        .update(readFileSync(pathOf(version)))
        .digest('hex'),
    ).toBe(models[version]?.sha256)
  })

  test.each(['v1', 'v2', 'v4'])('%s does on the holdout rows what its provenance says', async (version) => {
    expect(await judge(version, 'holdout.csv')).toEqual({
      accuracy: models[version]?.holdout?.accuracy,
      failedRows: models[version]?.holdout?.failedRows,
    })
  })

  test('v3 is no model', async () => {
    await expect(loadModel({ path: pathOf('v3') })).rejects.toMatchObject({ reason: 'InvalidModel' })
  })

  test('nothing in the golden rows shows that v4 fails', async () => {
    expect(await judge('v4', 'golden.csv')).toEqual(await judge('v2', 'golden.csv'))
    expect((await judge('v4', 'holdout.csv')).failedRows).toBeGreaterThan(0.1 * csv('holdout.csv').length)
  })
})
