import { describe, expect, test } from '@jest/globals'
import { statusPatch } from './status-writer.ts'

describe('statusPatch', () => {
  test('nothing changed: no write', () => {
    const status = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' as const }] }
    expect(statusPatch(status, structuredClone(status))).toBeUndefined()
  })

  test('a null probe time and the order of keys are no change', () => {
    const before = { conditions: [{ status: 'True' as const, type: 'Ready', lastProbeTime: null }], phase: 'Running' }
    const after = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' as const }] }
    expect(statusPatch(before, after)).toBeUndefined()
  })

  test('only what changed is sent, and what a condition no longer says is removed', () => {
    const before = {
      phase: 'Pending',
      podIP: '127.1.1.1',
      conditions: [
        { type: 'Ready', status: 'False' as const, reason: 'ContainersNotReady', message: 'unready' },
        { type: 'PodScheduled', status: 'True' as const },
      ],
    }
    const after = {
      phase: 'Running',
      podIP: '127.1.1.1',
      conditions: [
        { type: 'Ready', status: 'True' as const },
        { type: 'PodScheduled', status: 'True' as const },
      ],
    }
    expect(statusPatch(before, after)).toEqual({
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'True', reason: null, message: null }],
    })
  })

  test('a new address takes the place of the old one', () => {
    expect(statusPatch({ podIPs: [{ ip: 'a' }] }, { podIPs: [{ ip: 'b' }] })).toEqual({
      podIPs: [{ ip: 'b' }, { $patch: 'replace' }],
    })
    expect(statusPatch({}, { podIPs: [{ ip: 'b' }] })).toEqual({ podIPs: [{ ip: 'b' }] })
  })

  test('conditions and fields of others are left alone', () => {
    const before = {
      phase: 'Running',
      nominatedNodeName: 'n',
      conditions: [{ type: 'Theirs', status: 'True' as const }],
    }
    expect(statusPatch(before, { phase: 'Running', conditions: [] })).toBeUndefined()
  })
})
