import { afterAll, describe, expect, test } from '@jest/globals'
import { RELAYED_HEADER } from '../../protocol/headers.ts'
import { ServerMetrics } from '../metrics/server-metrics.ts'
import { RecentAnswers } from '../monitor/recent-answers.ts'
import { ApiError, errorBody } from './api-error.ts'
import { Hold } from './hold.ts'
import { InferenceService } from './inference-service.ts'
import type { InferenceRequest, InferenceRoute } from './inference.ts'
import type { ServedModel } from './served-model.ts'
import { ServingState } from './serving-state.ts'
import { closeAll, request, traffic } from './traffic/testing.ts'

afterAll(closeAll)

/** What refuses for want of time, and lets the refusal be held for so long. */
function refusing(mayBeHeldMs: number) {
  const state = new ServingState()
  state.modelIsServed({} as ServedModel)
  const service = new InferenceService({
    revision: 'own',
    state,
    traffic: traffic(),
    metrics: new ServerMetrics({
      revision: 'own',
      version: '1',
      sha256: () => '',
      planId: () => 0,
      queuedRows: () => 0,
    }),
    answers: new RecentAnswers({ revision: 'own', instance: 'a', maxAnswers: 16, maxNumbers: 16 }),
    hold: new Hold(1024 * 1024),
    onInternalError: (error) => {
      throw error
    },
  })
  const route: InferenceRoute = {
    endpoint: 'predict',
    wording: errorBody,
    answer: async () => {
      throw new ApiError('overloaded', 'Too many.', { retryAfterSeconds: 3, mayBeHeldMs })
    },
  }
  const order: string[] = []
  const ask = async (who: string, asked: InferenceRequest) => {
    const answer = await service.answer(route, asked)
    order.push(who)
    return answer
  }
  return { ask, order }
}

describe('a refusal for want of time', () => {
  test('is 429 with the time to come back, at once for a pod that relays and later for a client', async () => {
    const { ask, order } = refusing(20)
    const answers = await Promise.all([
      ask('client', request()),
      ask('pod', request({ [RELAYED_HEADER]: 'own' })),
      ask('client who waited for a peer', { ...request(), waitedMs: 15 }),
      ask('client who has waited long', { ...request(), waitedMs: 1_000 }),
    ])
    for (const { status, headers, body } of answers) {
      expect(status).toBe(429)
      expect(headers.join('\n')).toContain('retry-after\n3')
      expect(JSON.parse(String(body))).toEqual({ error: { code: 'overloaded', message: 'Too many.' } })
    }
    expect(order.slice(0, 2).sort()).toEqual(['client who has waited long', 'pod'])
    expect(order.slice(2)).toEqual(['client who waited for a peer', 'client'])
  })
})
