import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { ModelDeploymentSpec } from '../api/resource.ts'
import { canonicalJson, revisionName } from './revision.ts'

const spec: ModelDeploymentSpec = {
  model: { uri: 'https://models.example/fraud.onnx', version: '3' },
  server: { drainSeconds: 30, batching: { maxSize: 64, maxDelayMs: 0 } },
}

test('the name is the same for ever: it is what every child of every running revision is called', () => {
  expect(revisionName('fraud', spec)).toBe('fraud-ed0ea4dca9')
})

test.each<[string, ModelDeploymentSpec]>([
  ['the version, which is a label', { ...spec, model: { ...spec.model, version: '4' } }],
  [
    'the order of fields',
    {
      server: { batching: { maxDelayMs: 0, maxSize: 64 }, drainSeconds: 30 },
      model: { version: '3', uri: spec.model.uri },
    },
  ],
  ['scaling', { ...spec, scaling: { replicas: 9 } }],
  ['the rollout policy', { ...spec, rollout: { minSamples: 1 } }],
])('does not depend on %s', (_what, changed) => {
  expect(revisionName('fraud', changed)).toBe(revisionName('fraud', spec))
})

test.each<[string, ModelDeploymentSpec]>([
  ['the URI', { ...spec, model: { uri: 'https://models.example/other.onnx' } }],
  ['the digest', { ...spec, model: { ...spec.model, sha256: 'a'.repeat(64) } }],
  ['the server', { ...spec, server: { drainSeconds: 31 } }],
])('changes with %s', (_what, changed) => {
  expect(revisionName('fraud', changed)).not.toBe(revisionName('fraud', spec))
})

test('an empty server asks for the same as none', () => {
  const { model } = spec
  expect(revisionName('fraud', { model, server: {} })).toBe(revisionName('fraud', { model }))
})

test('canonical JSON is JSON of the same value, whatever the order of its keys', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = canonicalJson(value)
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)))
      expect(canonicalJson(reversed(value))).toBe(text)
    }),
  )
})

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, field]) => [key, reversed(field)]),
  )
}
