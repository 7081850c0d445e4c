import { describe, expect, test } from '@jest/globals'
import * as fc from 'fast-check'
import type { ModelDeploymentSpec } from '../../api/resource.ts'
import { plan } from '../plan.ts'
import { SETTINGS, conditionOf, newWorld, settle, settled, specOf } from '../story.ts'
import { GOOD, World } from '../world.ts'
import { podTemplate, resolveTemplate } from './pod-template.ts'
import { templateProblems } from './template-problems.ts'

const withTemplate = (template: unknown): ModelDeploymentSpec => ({
  ...specOf('good'),
  server: { podTemplate: template as Record<string, unknown> },
})

describe('a pod template that cannot be merged is named', () => {
  const at = 'spec.server.podTemplate'
  test.each<[string, unknown, string]>([
    [
      'a null init container',
      { spec: { initContainers: [null] } },
      `${at}.spec.initContainers[0] must be an object, not null`,
    ],
    ['a text for a pod', { spec: 'x' }, `${at}.spec must be an object, not a string`],
    ['no pod at all', { spec: null }, `${at}.spec must be an object, not null`],
    ['no containers at all', { spec: { containers: null } }, `${at}.spec.containers must be a list, not null`],
    ['a list that is none', { spec: { volumes: {} } }, `${at}.spec.volumes must be a list, not an object`],
    [
      'a container without a name',
      { spec: { containers: [{ image: 'x' }] } },
      `${at}.spec.containers[0].name must be a string, not absent`,
    ],
    [
      'a variable that is none',
      { spec: { containers: [{ name: 'server', env: ['A=1'] }] } },
      `${at}.spec.containers[0].env[0] must be an object, not a string`,
    ],
    ['labels that are none', { metadata: { labels: [] } }, `${at}.metadata.labels must be an object, not a list`],
    [
      'an annotation that is a number',
      { metadata: { annotations: { 'a/b': 1 } } },
      `${at}.metadata.annotations["a/b"] must be a string, not a number`,
    ],
  ])('%s', (_what, template, message) => {
    expect(templateProblems(withTemplate(template)).map((problem) => problem.message)).toEqual([message])
  })
})

test.each<[string, unknown]>([
  ['nothing', {}],
  ['placement', { spec: { nodeSelector: { gpu: 'yes' }, tolerations: [null] } }],
  ['removals', { metadata: { labels: { a: null }, annotations: null }, spec: { initContainers: null, volumes: null } }],
  ['a variable', { spec: { containers: [{ name: 'server', env: [{ name: 'A', value: '1' }] }] } }],
])('a pod template of %s can be merged', (_what, template) => {
  expect(templateProblems(withTemplate(template))).toEqual([])
})

const anyTemplate = fc.oneof(
  fc.jsonValue(),
  fc.record(
    {
      metadata: fc.oneof(fc.jsonValue(), fc.record({ labels: fc.jsonValue(), annotations: fc.jsonValue() })),
      spec: fc.oneof(
        fc.jsonValue(),
        fc.dictionary(fc.constantFrom('containers', 'initContainers', 'volumes', '__proto__', 'x'), fc.jsonValue()),
        fc.record({
          initContainers: fc.array(fc.jsonValue()),
          containers: fc.array(fc.record({ env: fc.jsonValue() })),
        }),
      ),
    },
    { requiredKeys: [] },
  ),
)

test('no JSON in a pod template is too much: it makes a plan, and templates, or it is named by its path', () => {
  fc.assert(
    fc.property(anyTemplate, (template) => {
      const spec = withTemplate(template)
      const { resource: owner } = new World(spec, () => GOOD)
      const revision = 'm-1a2b3c4d5e'
      const pod = podTemplate({ owner, revision, image: 'i', uri: 'u', sha256: 's' })
      resolveTemplate({ owner, image: 'i', labels: {}, sha256: undefined })
      const problems = templateProblems(spec)
      const { status } = plan(newWorld(spec).observe(), SETTINGS, 0)
      const stalled = status.conditions?.find(({ type }) => type === 'Stalled')
      expect(stalled?.reason === 'InvalidSpec').toBe(problems.length > 0)
      for (const problem of problems) expect(problem.field).toMatch(/^spec\.server\.podTemplate/)
      if (problems.length > 0) return
      expect(pod).toMatchObject({ metadata: { labels: { 'penstock.dev/revision': revision } } })
      expect((pod.spec as { containers: unknown[] }).containers).toContainEqual(
        expect.objectContaining({ name: 'server' }),
      )
    }),
  )
})

test('an invalid pod template leaves stable alone, and status says which of its fields is wrong', () => {
  const world = settled('good')
  world.setSpec(withTemplate({ spec: { initContainers: [null] } }))
  settle(world, { rounds: 10 })
  expect(conditionOf(world, 'Stalled')).toMatchObject({ status: 'True', reason: 'InvalidSpec' })
  expect(conditionOf(world, 'Available')).toMatchObject({ status: 'True' })
  expect(world.unanswered).toBe(0)
})
