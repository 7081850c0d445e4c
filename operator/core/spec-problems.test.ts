import { expect, test } from '@jest/globals'
import type { ModelDeploymentSpec } from '../api/resource.ts'
import { specProblems } from './spec-problems.ts'

const model = { uri: 'https://models.example/m.onnx' }

test.each<[string, ModelDeploymentSpec]>([
  ['spec.routing.provider: GatewayAPI', { model, routing: { provider: 'GatewayAPI' } }],
  ['spec.routing.gateway', { model, routing: { gateway: {} } }],
  ['spec.rollout.preTraffic.contract', { model, rollout: { preTraffic: { contract: 'Compatible' } } }],
  [
    'spec.rollout.preTraffic.golden',
    { model, rollout: { preTraffic: { golden: { uri: 'x', metric: 'accuracy', min: 0.85 } } } },
  ],
  [
    'spec.rollout.steps[1].shadow',
    {
      model,
      rollout: {
        steps: [
          { weight: 5, hold: '1s' },
          { shadow: 100, hold: '1s' },
        ],
      },
    },
  ],
  [
    'spec.rollout.gates[0].agreement (gate "a")',
    { model, rollout: { gates: [{ name: 'a', agreement: { min: 0.9 } }] } },
  ],
  ['spec.rollout.onInsufficientData: Replay', { model, rollout: { onInsufficientData: 'Replay' } }],
  ['spec.monitoring', { model, monitoring: {} }],
])('%s is named, with what to do instead', (field, spec) => {
  const [problem] = specProblems(spec)
  expect(problem?.field).toBe(field)
  expect(problem?.message).toMatch(/not supported by this release; (use|remove|set)/)
})

test.each<[string, ModelDeploymentSpec['rollout'], number]>([
  ['without steps', {}, 1],
  ['with steps that give the candidate nothing', { steps: [{ weight: 0, hold: '1s' }] }, 1],
  ['with a step that gives it a share', { steps: [{ weight: 5, hold: '1s' }] }, 0],
])('gates %s are refused if nobody would ever ask them', (_, rollout, problems) => {
  const gates = [{ name: 'errors', errorRate: { maxIncrease: 0.01 } }]
  const found = specProblems({ model, rollout: { ...rollout, gates } })
  expect(found.map((problem) => problem.field)).toEqual(Array(problems).fill('spec.rollout.gates'))
})

test('a first step of 100 % with a latency gate is refused, as there would be nothing to compare with', () => {
  const gates = [{ name: 'latency', latency: { quantile: 0.99, maxRatio: 1.5 } }]
  const withSteps = (...weights: number[]): ModelDeploymentSpec => ({
    model,
    rollout: { gates, steps: weights.map((weight) => ({ weight, hold: '1s' })) },
  })
  expect(specProblems(withSteps(0, 100))).toMatchObject([{ field: 'spec.rollout.steps[1].weight' }])
  expect(specProblems(withSteps(10, 100))).toEqual([])
})
