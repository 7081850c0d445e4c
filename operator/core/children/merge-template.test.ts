import { expect, test } from '@jest/globals'
import { mergeTemplate } from './merge-template.ts'

const ours = {
  spec: {
    containers: [{ name: 'server', image: 'a', env: [{ name: 'A', value: '1' }], args: ['x', 'y'] }],
    volumes: [{ name: 'models', emptyDir: {} }],
    securityContext: { runAsNonRoot: true },
  },
}

test.each<[string, object, object]>([
  ['adds fields', { spec: { nodeSelector: { gpu: 'yes' } } }, { nodeSelector: { gpu: 'yes' } }],
  [
    'adds a sidecar beside ours',
    { spec: { containers: [{ name: 'proxy', image: 'b' }] } },
    { containers: [...ours.spec.containers, { name: 'proxy', image: 'b' }] },
  ],
  [
    'merges a container of the same name, and its env by name',
    { spec: { containers: [{ name: 'server', env: [{ name: 'B', value: '2' }] }] } },
    {
      containers: [
        {
          ...ours.spec.containers[0],
          env: [
            { name: 'A', value: '1' },
            { name: 'B', value: '2' },
          ],
        },
      ],
    },
  ],
  [
    'replaces a list without a key',
    { spec: { containers: [{ name: 'server', args: ['z'] }] } },
    { containers: [{ ...ours.spec.containers[0], args: ['z'] }] },
  ],
  [
    'changes a volume of the same name',
    { spec: { volumes: [{ name: 'models', emptyDir: { medium: 'Memory' } }] } },
    { volumes: [{ name: 'models', emptyDir: { medium: 'Memory' } }] },
  ],
])('%s', (_name, theirs, expected) => {
  expect(mergeTemplate(ours, theirs as never)).toEqual({ spec: { ...ours.spec, ...expected } })
})

test('null removes a field', () => {
  expect(mergeTemplate(ours, { spec: { securityContext: null } })).toEqual({
    spec: { containers: ours.spec.containers, volumes: ours.spec.volumes },
  })
})

test('cannot reach the prototype', () => {
  mergeTemplate(ours, JSON.parse('{"__proto__":{"polluted":true},"spec":{"__proto__":{"polluted":true}}}') as never)
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
})
