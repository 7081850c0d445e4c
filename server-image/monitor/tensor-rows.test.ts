import { describe, expect, test } from '@jest/globals'
import { feedsOf } from '../model/rows.ts'
import { loadModel } from '../model/session.ts'
import { modelPath } from '../serve/testing.ts'
import { startMonitor, type Monitor } from './monitor.ts'
import { DEFAULT_MONITORING } from './settings.ts'
import { rowCountOf, rowOfFeeds } from './tensor-rows.ts'

describe('rows in tensors', () => {
  test('are the rows that were packed into them', async () => {
    const { signature } = await loadModel({ path: modelPath('columns') })
    if (signature.kind !== 'tabular') throw new Error('a model of rows is needed')
    const rows = [
      [31, 12.5, 2, 'Lima'],
      [64, -1, 0, 'Oslo'],
    ]
    const feeds = feedsOf(signature, rows)
    expect(rowCountOf(signature, feeds)).toBe(2)
    expect(rows.map((_, index) => rowOfFeeds(signature, feeds, index))).toEqual(rows)
  })

  test('are not looked at without a profile that they would be compared with', async () => {
    const { signature } = await loadModel({ path: modelPath('mlp_classifier') })
    const monitor: Monitor = await startMonitor(DEFAULT_MONITORING, { revision: 'own', instance: 'a1b2c3d4' })
    monitor.watch(signature)
    const refuse = () => {
      throw new Error('nobody needs this row')
    }
    monitor.observe(monitor.answers.newId(), refuse, [{ prediction: 1, probability: 0.5 }])
    expect(monitor.predictions().cells).toEqual([1])
  })
})
