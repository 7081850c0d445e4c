import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startApiServer, type ApiServer } from './apiserver.ts'
import { TestClient } from './test-client.ts'

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
const WIDGETS = '/apis/example.com/v1/namespaces/default/widgets'

let server: ApiServer
let client: TestClient

const schema = {
  type: 'object',
  required: ['spec'],
  'x-kubernetes-validations': [{ rule: "self.metadata.name.startsWith('w')", message: 'names begin with w' }],
  properties: {
    spec: {
      type: 'object',
      required: ['size'],
      'x-kubernetes-validations': [
        {
          rule: '!has(self.max) || self.size <= self.max',
          messageExpression: "self.max < 4 ? 'size is over a small max' : 'size is over max'",
          fieldPath: '.size',
        },
      ],
      properties: {
        size: { type: 'integer', minimum: 0 },
        max: { type: 'integer' },
        color: { type: 'string', enum: ['red', 'blue'], default: 'red' },
        code: { type: 'string', pattern: '^[a-z]+$', maxLength: 5 },
        fixed: {
          type: 'string',
          'x-kubernetes-validations': [
            { rule: 'self == oldSelf', message: 'may not change', reason: 'FieldValueForbidden' },
          ],
        },
        port: { 'x-kubernetes-int-or-string': true },
        memory: {
          type: 'string',
          'x-kubernetes-validations': [{ rule: "quantity(self).isLessThan(quantity('1Gi'))" }],
        },
        free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        labels: { type: 'object', additionalProperties: { type: 'string' } },
        parts: {
          type: 'array',
          maxItems: 2,
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
          items: {
            type: 'object',
            required: ['name'],
            properties: { name: { type: 'string' }, weight: { type: 'integer', default: 1 } },
          },
        },
      },
    },
    status: { type: 'object', properties: { phase: { type: 'string' }, replicas: { type: 'integer' } } },
  },
}

const crd = (openAPIV3Schema: unknown = schema) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'widgets', kind: 'Widget', shortNames: ['wd'] },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: { openAPIV3Schema },
        subresources: { status: {}, scale: { specReplicasPath: '.spec.size', statusReplicasPath: '.status.replicas' } },
        additionalPrinterColumns: [{ name: 'Size', type: 'integer', jsonPath: '.spec.size' }],
        selectableFields: [{ jsonPath: '.spec.color' }],
      },
    ],
  },
})

const widget = (name: string, spec: object) => ({
  apiVersion: 'example.com/v1',
  kind: 'Widget',
  metadata: { name },
  spec,
})

beforeAll(async () => {
  server = await startApiServer({ host: '127.0.0.1', port: 0 })
  client = new TestClient(server)
  await define(crd(), WIDGETS)
})

afterAll(async () => {
  client.close()
  await server.close()
})

/** A real API server needs a moment before it serves a new kind, or knows it no more. */
async function define(definition: object, path: string): Promise<void> {
  await client.post(CRDS, definition)
  await until(path, 200)
}

async function until(path: string, code: number): Promise<void> {
  const deadline = Date.now() + 20_000
  while ((await client.get(path)).code !== code)
    if (Date.now() > deadline) throw new Error(`waited 20 s for ${path} to answer ${code}`)
}

async function refusal(spec: object, name = 'wrong'): Promise<string> {
  const { code, body } = await client.post(WIDGETS, widget(name, spec))
  expect(code).toBe(422)
  return (body.message as string).replace('Widget.example.com "wrong" is invalid: ', '')
}

function conditionsIn(status: unknown): readonly { type: string; status: string }[] {
  return (status as { conditions?: { type: string; status: string }[] } | undefined)?.conditions ?? []
}

describe('a definition', () => {
  test('is established and appears in discovery', async () => {
    const isEstablished = (status: unknown) =>
      conditionsIn(status).some(({ type, status: value }) => type === 'Established' && value === 'True')
    const read = async () => (await client.get(`${CRDS}/widgets.example.com`)).body.status as unknown
    const deadline = Date.now() + 20_000
    let status = await read()
    // A kind is served a moment before its definition says so.
    while (!isEstablished(status) && Date.now() < deadline) status = await read()
    expect(status).toMatchObject({
      storedVersions: ['v1'],
      conditions: [
        { type: 'NamesAccepted', status: 'True' },
        { type: 'Established', status: 'True' },
      ],
    })
    const { body: resources } = await client.get('/apis/example.com/v1')
    expect((resources.resources as { name: string }[]).map(({ name }) => name)).toEqual([
      'widgets',
      'widgets/status',
      'widgets/scale',
    ])
  })

  test.each([
    ['self.spec.nope > 1', "undefined field 'nope'"],
    ['self.spec.size >', 'Syntax'],
    ['unknownFunction(self)', "undeclared reference to 'unknownFunction'"],
    ['other == 1', "undeclared reference to 'other'"],
  ])('with the rule %s is refused', async (rule, why) => {
    const { code, body } = await client.post(CRDS, {
      ...crd({ ...schema, 'x-kubernetes-validations': [{ rule }] }),
      metadata: { name: 'widgets.example.com' },
    })
    expect(code).toBe(422)
    expect(body.message).toContain('spec.validation.openAPIV3Schema.x-kubernetes-validations[0].rule: Invalid value')
    if (why !== 'Syntax') expect(body.message).toContain(why)
  })

  test('without a structural schema is refused', async () => {
    const { body } = await client.post(CRDS, crd({ type: 'object', properties: { spec: { properties: {} } } }))
    expect(body.message).toContain(
      'spec.validation.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields',
    )
  })

  test('takes its objects along when it is deleted', async () => {
    const other = { ...crd(), metadata: { name: 'gadgets.example.com' } }
    other.spec = { ...other.spec, names: { plural: 'gadgets', kind: 'Gadget', shortNames: [] } }
    const path = '/apis/example.com/v1/namespaces/default/gadgets'
    await define(other, path)
    await client.post(path, { ...widget('w', { size: 1 }), kind: 'Gadget' })
    await client.remove(`${CRDS}/gadgets.example.com`)
    await until(path, 404)
    await define(other, path)
    expect((await client.get(path)).body.items).toEqual([])
  })
})

describe('a custom resource', () => {
  test('is refused with the words of the real API server', async () => {
    const unchecked =
      '<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation'
    const blocked = (...errors: string[]) => `[${[...errors, unchecked].join(', ')}]`
    expect(await refusal({})).toBe(blocked('spec.size: Required value'))
    expect(await refusal({ size: -1 })).toBe(
      '[spec.size: Invalid value: -1: spec.size in body should be greater than or equal to 0, .spec.size: Invalid value: -1: should be a non-negative integer]',
    )
    expect(await refusal({ size: 'x' })).toBe(
      blocked(
        'spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"',
        '.spec.size: Invalid value: 0: .spec.size accessor error: x is of the type string, expected int64',
      ),
    )
    expect(await refusal({ size: 1, color: 'green' })).toBe(
      blocked('spec.color: Unsupported value: "green": supported values: "red", "blue"'),
    )
    expect(await refusal({ size: 1, code: 'A' })).toBe(
      `spec.code: Invalid value: "A": spec.code in body should match '^[a-z]+$'`,
    )
    expect(await refusal({ size: 1, code: 'ABCDEF' })).toBe(
      blocked('spec.code: Too long: may not be more than 5 bytes'),
    )
    expect(await refusal({ size: 1, parts: [{ name: 'a' }, { name: 'a' }] })).toBe(
      'spec.parts[1]: Duplicate value: {"name":"a"}',
    )
    expect(await refusal({ size: 1, parts: [{ name: 'a' }, { name: 'b' }, { name: 'c' }] })).toBe(
      blocked('spec.parts: Too many: 3: must have at most 2 items'),
    )
    expect(await refusal({ size: 1, port: true })).toBe(
      blocked('spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"'),
    )
  })

  test('has to say what it is', async () => {
    const { kind, ...unknown } = widget('w-kind', { size: 1 })
    expect((await client.post(WIDGETS, unknown)).body.message).toBe(
      `the object provided is unrecognized (must be of type ${kind}): Object 'Kind' is missing in '${JSON.stringify(unknown)}' ({"apiVersion":"example.com/v1" ...)`,
    )
    const { apiVersion, ...unversioned } = widget('w-kind', { size: 1 })
    expect((await client.post(WIDGETS, unversioned)).body.message).toBe(
      `the API version in the data () does not match the expected API version (${apiVersion})`,
    )
  })

  test('is judged by its rules', async () => {
    expect(await refusal({ size: 5, max: 3 })).toBe('spec.size: Invalid value: size is over a small max')
    expect(await refusal({ size: 1, memory: '2Gi' })).toBe(
      `spec.memory: Invalid value: "2Gi": failed rule: quantity(self).isLessThan(quantity('1Gi'))`,
    )
    const { body } = await client.post(WIDGETS, widget('x', { size: 1 }))
    expect(body.message).toBe('Widget.example.com "x" is invalid: <nil>: Invalid value: names begin with w')
  })

  test('keeps what its schema knows, with defaults', async () => {
    const { body } = await client.post(
      WIDGETS,
      widget('w-kept', { size: 1, unknown: 1, free: { any: [1] }, labels: { a: 'b' }, parts: [{ name: 'a' }] }),
    )
    expect(body.spec).toEqual({
      size: 1,
      color: 'red',
      free: { any: [1] },
      labels: { a: 'b' },
      parts: [{ name: 'a', weight: 1 }],
    })
  })

  test('may not change where a transition rule forbids it', async () => {
    await client.post(WIDGETS, widget('w-fixed', { size: 1, fixed: 'a' }))
    const { body } = await client.merge(`${WIDGETS}/w-fixed`, { spec: { fixed: 'b' } })
    expect(body.message).toBe('Widget.example.com "w-fixed" is invalid: spec.fixed: Forbidden: may not change')
    expect((await client.merge(`${WIDGETS}/w-fixed`, { spec: { size: 2 } })).code).toBe(200)
  })

  test('has a status that only its endpoint writes', async () => {
    await client.post(WIDGETS, { ...widget('w-status', { size: 1 }), status: { phase: 'Ready' } })
    const path = `${WIDGETS}/w-status`
    const { body } = await client.get(path)
    expect(body.status).toBeUndefined()
    const updated = await client.put(`${path}/status`, {
      ...body,
      metadata: { ...body.metadata, labels: { a: 'b' } },
      spec: { size: 9 },
      status: { phase: 'Ready' },
    })
    expect(updated.body).toMatchObject({ spec: { size: 1 }, status: { phase: 'Ready' }, metadata: { generation: 1 } })
    expect(updated.body.metadata.labels).toBeUndefined()
    expect((await client.merge(path, { spec: { size: 2 } })).body).toMatchObject({
      metadata: { generation: 2 },
      status: { phase: 'Ready' },
    })
  })

  test('needs its version for a PUT, and knows no strategic patch', async () => {
    await client.post(WIDGETS, widget('w-put', { size: 1 }))
    const { body } = await client.put(`${WIDGETS}/w-put`, widget('w-put', { size: 2 }))
    expect(body.message).toBe(
      'widgets.example.com "w-put" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update',
    )
    expect((await client.strategic(`${WIDGETS}/w-put`, {})).code).toBe(415)
  })

  test('scales, and is selected by its selectable fields', async () => {
    await client.post(WIDGETS, widget('w-scaled', { size: 1, color: 'blue' }))
    await client.merge(`${WIDGETS}/w-scaled/scale`, { spec: { replicas: 4 } })
    const { body } = await client.get(`${WIDGETS}?fieldSelector=spec.color%3Dblue`)
    expect(body.items).toMatchObject([
      { apiVersion: 'example.com/v1', kind: 'Widget', metadata: { name: 'w-scaled' }, spec: { size: 4 } },
    ])
  })

  test('is applied by the keys of its lists', async () => {
    const path = `${WIDGETS}/w-applied`
    await client.apply(path, 'alice', widget('w-applied', { size: 1, parts: [{ name: 'a', weight: 2 }] }))
    await client.apply(path, 'bob', widget('w-applied', { size: 1, parts: [{ name: 'b', weight: 3 }] }))
    expect((await client.get(path)).body.spec.parts).toEqual([
      { name: 'a', weight: 2 },
      { name: 'b', weight: 3 },
    ])
    const { body } = await client.apply(path, 'alice', widget('w-applied', { size: 1 }))
    expect(body.spec.parts).toEqual([{ name: 'b', weight: 3 }])
  })
})

describe('Penstock’s own definition', () => {
  const path = '/apis/penstock.dev/v1alpha1/namespaces/default/modeldeployments'
  const model = (name: string, spec: object) => ({
    apiVersion: 'penstock.dev/v1alpha1',
    kind: 'ModelDeployment',
    metadata: { name },
    spec: { model: { uri: 'file:///m.onnx' }, ...spec },
  })
  beforeAll(async () => {
    const yaml = readFileSync(join(import.meta.dirname, '../../crds/modeldeployments.yaml'), 'utf8')
    const created = await client.ask('POST', CRDS, { body: yaml, type: 'application/yaml' })
    expect(created.code).toBe(201)
    await until(path, 200)
  })

  test('judges a ModelDeployment', async () => {
    expect((await client.post(path, model('good', {}))).code).toBe(201)
    expect((await client.post(path, model('bad-canary', {}))).body.message).toContain("must not end in '-canary'")
    const both = { scaling: { replicas: 1 }, autoscaling: { maxReplicas: 2 } }
    expect((await client.post(path, model('both', both))).body.message).toContain('not both')
  })

  test('shows no scale where spec has no replicas, and takes one', async () => {
    await client.post(path, model('unscaled', {}))
    const shown = await client.get(`${path}/unscaled/scale`)
    expect([shown.code, shown.body]).toMatchObject([
      500,
      {
        reason: 'InternalError',
        message: 'Internal error occurred: the spec replicas field ".spec.scaling.replicas" does not exist',
      },
    ])
    const empty = await client.merge(`${path}/unscaled/scale`, { spec: {} })
    const cannot = 'the spec replicas field ".spec.scaling.replicas" cannot be empty'
    expect([empty.code, empty.body.message]).toEqual([400, cannot])
    expect((await client.merge(`${path}/unscaled/scale`, { spec: { replicas: 2 } })).body.spec).toEqual({ replicas: 2 })
    expect((await client.get(`${path}/unscaled/scale`)).body.spec).toEqual({ replicas: 2 })
    expect((await client.get(`${path}/unscaled`)).body.spec.scaling).toEqual({ replicas: 2 })
  })

  test('refuses a scale where an autoscaler decides', async () => {
    await client.post(path, model('autoscaled', { autoscaling: { maxReplicas: 2 } }))
    const { code, body } = await client.merge(`${path}/autoscaled/scale`, { spec: { replicas: 2 } })
    expect([code, body.message]).toEqual([422, expect.stringContaining('not both')])
    expect((await client.get(`${path}/autoscaled`)).body.spec.scaling).toBeUndefined()
  })
})
