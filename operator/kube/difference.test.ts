import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { differences } from './difference.ts'
import type { KubeObject } from './resource.ts'

interface Any extends KubeObject {
  readonly [field: string]: unknown
}

const META = { name: 'web', namespace: 'ns' }

const desired: Any = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { ...META, labels: { app: 'web' } },
  spec: {
    selector: { matchLabels: { app: 'web' } },
    template: {
      spec: {
        containers: [
          {
            name: 'server',
            image: 'img:1',
            args: ['--a', '--b'],
            ports: [{ containerPort: 8080 }],
            resources: { requests: { cpu: '1000m', memory: '0.5Gi' } },
            env: [{ name: 'A', value: '1000m' }],
          },
        ],
        volumes: [{ name: 'v', emptyDir: {} }],
      },
    },
  },
}

const fields = {
  'f:metadata': { 'f:labels': { 'f:app': {} } },
  'f:spec': {
    'f:selector': {},
    'f:template': {
      'f:spec': {
        'f:containers': {
          'k:{"name":"server"}': {
            '.': {},
            'f:name': {},
            'f:image': {},
            'f:args': {},
            'f:ports': { 'k:{"containerPort":8080,"protocol":"TCP"}': { '.': {}, 'f:containerPort': {} } },
            'f:resources': { 'f:requests': { 'f:cpu': {}, 'f:memory': {} } },
            'f:env': { 'k:{"name":"A"}': { '.': {}, 'f:name': {}, 'f:value': {} } },
          },
        },
        'f:volumes': { 'k:{"name":"v"}': { '.': {}, 'f:name': {}, 'f:emptyDir': {} } },
      },
    },
  },
}

/** What a real API server makes of it: defaults, rewritten quantities, other people's fields. */
function live(change: (object: Any) => void = () => {}, owned: (fields: never) => void = () => {}): Any {
  const applied = structuredClone(fields)
  owned(applied as never)
  const object = structuredClone({
    ...desired,
    metadata: {
      ...META,
      uid: 'u',
      resourceVersion: '7',
      labels: { app: 'web', theirs: 'x' },
      annotations: { 'deployment.kubernetes.io/revision': '3' },
      managedFields: [
        {
          manager: 'kube-controller-manager',
          operation: 'Update',
          apiVersion: 'apps/v1',
          subresource: 'status',
          fieldsV1: {},
        },
        { manager: 'us', operation: 'Apply', apiVersion: 'apps/v1', fieldsType: 'FieldsV1', fieldsV1: applied },
      ],
    },
    spec: {
      replicas: 3,
      selector: { matchLabels: { app: 'web' } },
      template: {
        spec: {
          restartPolicy: 'Always',
          containers: [
            { name: 'injected-sidecar', image: 'proxy' },
            {
              name: 'server',
              image: 'img:1',
              imagePullPolicy: 'IfNotPresent',
              args: ['--a', '--b'],
              ports: [{ containerPort: 8080, protocol: 'TCP' }],
              resources: { requests: { cpu: '1', memory: '512Mi' } },
              env: [
                { name: 'A', value: '1000m' },
                { name: 'INJECTED', value: '1' },
              ],
            },
          ],
          volumes: [{ name: 'v', emptyDir: {} }],
        },
      },
    },
    status: { readyReplicas: 3 },
  }) as unknown as Any
  change(object)
  return object
}

function found(wanted: Any, seen: Any): string[] {
  return differences(wanted, seen, { name: 'us' }).map((each) => `${each.because} ${each.path}`)
}

/** The desired object with one change. */
function but(change: (object: never) => void): Any {
  const copy = structuredClone(desired)
  change(copy as never)
  return copy
}

type Deep = { [key: string]: Deep } & Deep[] & Record<string, unknown>
const server = (object: Any) =>
  (object as unknown as Deep).spec!.template!.spec!.containers!.find((each) => (each.name as unknown) === 'server')!

describe('no difference', () => {
  test("defaults, rewritten quantities, other people's fields and the status are none", () => {
    expect(found(desired, live())).toEqual([])
  })

  test('the version that the server adds to a reference to a field is none', () => {
    const env = (fieldRef: object): Any => ({
      apiVersion: 'v1',
      metadata: {
        ...META,
        managedFields: [
          { manager: 'us', operation: 'Apply', apiVersion: 'v1', fieldsV1: { 'f:valueFrom': { 'f:fieldRef': {} } } },
        ],
      },
      valueFrom: { fieldRef },
    })
    const wanted = { apiVersion: 'v1', metadata: META, valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }
    expect(found(wanted, env({ apiVersion: 'v1', fieldPath: 'status.podIP' }))).toEqual([])
    expect(found(wanted, env({ apiVersion: 'v2', fieldPath: 'status.podIP' }))).toEqual(['value valueFrom.fieldRef'])
  })

  test('changes of fields that are not ours are none', () => {
    const changed = live((object) => {
      const spec = (object as unknown as Deep).spec!
      Object.assign(spec, { replicas: 9, paused: true })
      Object.assign(server(object), { imagePullPolicy: 'Always' })
    })
    expect(found(desired, changed)).toEqual([])
  })
})

describe('a difference', () => {
  test.each<[string, (object: Any) => void, string]>([
    [
      'a value',
      (o) => Object.assign(server(o), { image: 'evil' }),
      'value spec.template.spec.containers[name=server].image',
    ],
    [
      'an argument',
      (o) => Object.assign(server(o), { args: ['--a'] }),
      'value spec.template.spec.containers[name=server].args',
    ],
    [
      'a quantity',
      (o) => Object.assign(server(o), { resources: { requests: { cpu: '2', memory: '512Mi' } } }),
      'value spec.template.spec.containers[name=server].resources.requests.cpu',
    ],
    [
      'a string that only looks like the same quantity',
      (o) => Object.assign(server(o), { env: [{ name: 'A', value: '1' }] }),
      'value spec.template.spec.containers[name=server].env[name=A].value',
    ],
    [
      'a whole map',
      (o) => Object.assign((o as unknown as Deep).spec!, { selector: { matchLabels: { app: 'web', more: 'x' } } }),
      'value spec.selector',
    ],
    [
      'an element that is gone',
      (o) => Object.assign((o as unknown as Deep).spec!.template!.spec!, { volumes: [] }),
      'missing spec.template.spec.volumes[name=v]',
    ],
    ['a label that is gone', (o) => Object.assign(o.metadata as object, { labels: {} }), 'missing metadata.labels.app'],
  ])('%s that somebody changed', (_, change, expected) => {
    expect(found(desired, live(change))).toEqual([expected])
  })

  test('a value that is right but was taken over', () => {
    const taken = live(undefined, (applied: Deep) => {
      delete (applied as Record<string, unknown>)['f:metadata']
    })
    expect(found(desired, taken)).toEqual(['unowned metadata.labels.app'])
  })

  test.each<[string, (object: Deep) => void, string]>([
    [
      'a field',
      (o) => delete (server(o) as Record<string, unknown>).args,
      'dropped spec.template.spec.containers[name=server].args',
    ],
    [
      'an element',
      (o) => Object.assign(server(o as unknown as Any), { env: [] }),
      'value spec.template.spec.containers[name=server].env',
    ],
    ['all labels', (o) => delete (o.metadata as Record<string, unknown>).labels, 'dropped metadata'],
    [
      'one entry of a map as a whole',
      (o) => Object.assign(o.spec!, { selector: { matchLabels: {} } }),
      'value spec.selector',
    ],
    [
      'a volume',
      (o) => Object.assign(o.spec!.template!.spec!, { volumes: [{ name: 'w', emptyDir: {} }] }),
      'missing spec.template.spec.volumes[name=w]',
    ],
  ])('%s that we no longer want', (_, change, expected) => {
    expect(found(but(change as never), live())).toContain(expected)
  })

  test('an object that we have never applied, and one that an older version of us applied', () => {
    const foreign = live((object) => Object.assign(object.metadata as object, { managedFields: [] }))
    expect(found(desired, foreign)).toContain('unowned metadata.labels.app')
    const older = live((object) => {
      for (const entry of object.metadata?.managedFields ?? []) Object.assign(entry, { apiVersion: 'apps/v1beta1' })
    })
    expect(found(desired, older)).toEqual(['unowned apiVersion'])
  })

  test('another order of keyed elements', () => {
    const two = [{ name: 'first' }, { name: 'second' }]
    const owned = {
      'f:list': { 'k:{"name":"first"}': { '.': {}, 'f:name': {} }, 'k:{"name":"second"}': { '.': {}, 'f:name': {} } },
    }
    const object = (list: unknown[]): Any => ({
      apiVersion: 'v1',
      metadata: { ...META, managedFields: [{ manager: 'us', operation: 'Apply', apiVersion: 'v1', fieldsV1: owned }] },
      list,
    })
    const wanted: Any = { apiVersion: 'v1', metadata: META, list: two }
    expect(found(wanted, object(two))).toEqual([])
    expect(found(wanted, object([two[0], { name: 'theirs' }, two[1]]))).toEqual([])
    expect(found(wanted, object([...two].reverse()))).toEqual(['value list[name=second] (order)'])
  })

  test('members of a set', () => {
    const object = (finalizers: string[], ours: string[]): Any => ({
      apiVersion: 'v1',
      metadata: {
        ...META,
        finalizers,
        managedFields: [
          {
            manager: 'us',
            operation: 'Apply',
            apiVersion: 'v1',
            fieldsV1: {
              'f:metadata': {
                'f:finalizers': Object.fromEntries(ours.map((each) => [`v:${JSON.stringify(each)}`, {}])),
              },
            },
          },
        ],
      } as never,
    })
    const wanted = { apiVersion: 'v1', metadata: { ...META, finalizers: ['ours'] } } as Any
    expect(found(wanted, object(['theirs', 'ours'], ['ours']))).toEqual([])
    expect(found(wanted, object(['theirs'], ['ours']))).toEqual(['missing metadata.finalizers["ours"]'])
    expect(found(wanted, object(['ours', 'old'], ['ours', 'old']))).toEqual(['dropped metadata.finalizers["old"]'])
  })
})

describe('laws for objects of maps and scalars', () => {
  const leaf = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.array(fc.integer(), { minLength: 1, maxLength: 3 }))
  const tree = fc.letrec<{ node: object }>((tie) => ({
    node: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.oneof({ maxDepth: 3 }, leaf, tie('node')), {
      minKeys: 1,
      maxKeys: 3,
    }),
  })).node

  const fieldsOf = (value: unknown): object =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).map(([key, inner]) => [`f:${key}`, fieldsOf(inner)]))
      : {}
  const applied = (spec: object): Any => ({
    apiVersion: 'v1',
    metadata: {
      ...META,
      managedFields: [{ manager: 'us', operation: 'Apply', apiVersion: 'v1', fieldsV1: { 'f:spec': fieldsOf(spec) } }],
    },
    spec,
  })
  const wanted = (spec: object): Any => ({ apiVersion: 'v1', metadata: META, spec })

  test('what was applied is no difference, foreign fields beside it neither; another spec is one exactly when it is another', () => {
    fc.assert(
      fc.property(tree, tree, (spec, other) => {
        expect(found(wanted(spec), applied(spec))).toEqual([])
        const withForeign = applied({ ...spec, foreign: { x: 1 } })
        Object.assign(withForeign.metadata!, { managedFields: applied(spec).metadata!.managedFields })
        expect(found(wanted(spec), withForeign)).toEqual([])
        const isSame = JSON.stringify(sorted(spec)) === JSON.stringify(sorted(other))
        expect(found(wanted(other), applied(spec)).length === 0).toBe(isSame)
      }),
    )
  })

  function sorted(value: unknown): unknown {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
    return Object.fromEntries(
      Object.entries(value)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, inner]) => [key, sorted(inner)]),
    )
  }
})
