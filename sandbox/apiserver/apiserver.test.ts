import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startApiServer, type ApiServer } from './apiserver.ts'
import type { AnsweredRequest, Fault, RequestFacts } from './http/faults.ts'
import { TestClient } from './test-client.ts'

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps'
const PODS = '/api/v1/namespaces/default/pods'
const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments'
const SERVICES = '/api/v1/namespaces/default/services'
const JOBS = '/apis/batch/v1/namespaces/default/jobs'

let server: ApiServer
let client: TestClient
let fault: (facts: RequestFacts) => Fault | undefined = () => undefined
const requests: AnsweredRequest[] = []

beforeAll(async () => {
  server = await startApiServer({
    host: '127.0.0.1',
    port: 0,
    faults: (facts) => fault(facts),
    onRequest: (request) => requests.push(request),
  })
  client = new TestClient(server)
})

afterAll(async () => {
  client.close()
  await server.close()
})

const configMap = (name: string, data: Record<string, string> = {}, labels: Record<string, string> = {}) => ({
  metadata: { name, labels },
  data,
})

const namesOf = (items: unknown): string[] =>
  (items as { metadata: { name: string } }[]).map((each) => each.metadata.name)

const deployment = (name: string) => ({
  metadata: { name },
  spec: {
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { containers: [{ name: 'main', image: 'x:1' }] } },
  },
})

describe('who may ask', () => {
  test('a wrong token is 401, no token is 403 for anybody but health checks', async () => {
    const wrong = await client.ask('GET', CONFIG_MAPS, { token: 'x' })
    expect(wrong.code).toBe(401)
    expect(wrong.body).toMatchObject({ kind: 'Status', status: 'Failure', reason: 'Unauthorized', code: 401 })
    const none = await client.ask('GET', CONFIG_MAPS, { token: null })
    expect(none.code).toBe(403)
    expect(none.body.message).toBe(
      'configmaps is forbidden: User "system:anonymous" cannot list resource "configmaps" in API group "" in the namespace "default"',
    )
    expect(await client.ask('GET', '/readyz', { token: null })).toMatchObject({ code: 200, body: 'ok' })
  })
})

describe('objects', () => {
  test('get what only the server can give, and errors name them as kubectl users know', async () => {
    const created = await client.post(CONFIG_MAPS, configMap('basics', { a: '1' }))
    expect(created.code).toBe(201)
    expect(created.body.metadata).toMatchObject({
      name: 'basics',
      namespace: 'default',
      uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
    })
    expect((await client.post(CONFIG_MAPS, configMap('basics'))).body.message).toBe(
      'configmaps "basics" already exists',
    )
    expect((await client.get(`${DEPLOYMENTS}/none`)).body).toMatchObject({
      message: 'deployments.apps "none" not found',
      details: { name: 'none', group: 'apps', kind: 'deployments' },
    })
    expect((await client.post('/api/v1/namespaces/nowhere/configmaps', configMap('x'))).body.message).toBe(
      'namespaces "nowhere" not found',
    )
  })

  test('a stale resourceVersion conflicts; a write that changes nothing is none', async () => {
    const { body: first } = await client.post(CONFIG_MAPS, configMap('versions', { a: '1' }))
    const same = await client.put(`${CONFIG_MAPS}/versions`, first)
    expect(same.body.metadata.resourceVersion).toBe(first.metadata.resourceVersion)
    const second = await client.put(`${CONFIG_MAPS}/versions`, { ...first, data: { a: '2' } })
    expect(Number(second.body.metadata.resourceVersion)).toBeGreaterThan(Number(first.metadata.resourceVersion))
    const stale = await client.put(`${CONFIG_MAPS}/versions`, { ...first, data: { a: '3' } })
    expect(stale.code).toBe(409)
    expect(stale.body.message).toBe(
      'Operation cannot be fulfilled on configmaps "versions": the object has been modified; please apply your changes to the latest version and try again',
    )
  })

  test('generateName makes names; names follow the rules of their kind', async () => {
    const { body } = await client.post(CONFIG_MAPS, { metadata: { generateName: 'gen-' } })
    expect(body.metadata.name).toMatch(/^gen-[a-z0-9]{5}$/)
    const service = (name: string) => ({ metadata: { name }, spec: { ports: [{ port: 1 }] } })
    expect((await client.post(SERVICES, service('1x'))).code).toBe(201)
    const bad = await client.post(SERVICES, service('-x'))
    expect(bad.code).toBe(422)
    expect(bad.body.message).toContain(
      'Service "-x" is invalid: metadata.name: Invalid value: "-x": a lowercase RFC 1123 label must consist of',
    )
  })

  test('dryRun answers as if it were done and does nothing', async () => {
    const { code } = await client.post(`${CONFIG_MAPS}?dryRun=All`, configMap('dry'))
    expect(code).toBe(201)
    expect((await client.get(`${CONFIG_MAPS}/dry`)).code).toBe(404)
  })

  test('unknown fields are an error, a warning or nothing, as the client wants', async () => {
    const withTypo = { ...configMap('strict'), dta: {} }
    const strict = await client.post(`${CONFIG_MAPS}?fieldValidation=Strict`, withTypo)
    expect(strict.body.message).toBe(
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "dta"',
    )
    const warned = await client.post(CONFIG_MAPS, withTypo)
    expect(warned.headers['warning']).toBe('299 - "unknown field \\"dta\\""')
    expect(warned.body.dta).toBeUndefined()
    const ignored = await client.put(`${CONFIG_MAPS}/strict?fieldValidation=Ignore`, withTypo)
    expect(ignored.headers['warning']).toBeUndefined()
  })

  test('a wrong type names the field', async () => {
    const { code, body } = await client.post(DEPLOYMENTS, {
      ...deployment('typed'),
      spec: { ...deployment('typed').spec, replicas: 'two' },
    })
    expect(code).toBe(400)
    expect(body.message).toContain(
      'json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
    )
  })

  test('finalizers hold a deleted object until they are gone', async () => {
    await client.post(CONFIG_MAPS, { metadata: { name: 'held', finalizers: ['example.com/hold'] } })
    const deleted = await client.remove(`${CONFIG_MAPS}/held`)
    expect(deleted.body.metadata.deletionTimestamp).toBeDefined()
    expect(
      (
        await client.merge(`${CONFIG_MAPS}/held`, {
          metadata: { finalizers: ['example.com/hold', 'example.com/more'] },
        })
      ).code,
    ).toBe(422)
    await client.merge(`${CONFIG_MAPS}/held`, { metadata: { finalizers: null } })
    expect((await client.get(`${CONFIG_MAPS}/held`)).code).toBe(404)
  })

  test('propagation policies put the garbage collector’s finalizers', async () => {
    for (const [policy, finalizer] of [
      ['Foreground', 'foregroundDeletion'],
      ['Orphan', 'orphan'],
    ]) {
      await client.post(CONFIG_MAPS, configMap('propagated'))
      const { body } = await client.remove(`${CONFIG_MAPS}/propagated`, { propagationPolicy: policy })
      expect(body.metadata.finalizers).toEqual([finalizer])
      await client.merge(`${CONFIG_MAPS}/propagated`, { metadata: { finalizers: null } })
    }
  })

  test('preconditions of a deletion are checked', async () => {
    await client.post(CONFIG_MAPS, configMap('guarded'))
    const { code, body } = await client.remove(`${CONFIG_MAPS}/guarded`, { preconditions: { uid: 'other' } })
    expect(code).toBe(409)
    expect(body.message).toContain('the UID in the precondition (other) does not match the UID in record')
  })

  test('immutable ConfigMaps and selectors stay as they are', async () => {
    await client.post(CONFIG_MAPS, { ...configMap('fixed', { a: '1' }), immutable: true })
    expect((await client.merge(`${CONFIG_MAPS}/fixed`, { data: { a: '2' } })).body.message).toBe(
      'ConfigMap "fixed" is invalid: data: Forbidden: field is immutable when `immutable` is set',
    )
    await client.post(DEPLOYMENTS, deployment('selected'))
    const { body } = await client.merge(`${DEPLOYMENTS}/selected`, {
      spec: { selector: { matchLabels: { app: 'other' } }, template: { metadata: { labels: { app: 'other' } } } },
    })
    expect(body.message).toContain('spec.selector: Invalid value: {"matchLabels":{"app":"other"}}: field is immutable')
  })
})

describe('built-in kinds', () => {
  test('a Deployment reads back with the defaults of a real one', async () => {
    const { body } = await client.post(DEPLOYMENTS, deployment('defaults'))
    expect(body.spec).toMatchObject({
      replicas: 1,
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
    })
    expect(body.spec.template.spec).toEqual({
      containers: [
        {
          name: 'main',
          image: 'x:1',
          imagePullPolicy: 'IfNotPresent',
          resources: {},
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
        },
      ],
      dnsPolicy: 'ClusterFirst',
      restartPolicy: 'Always',
      schedulerName: 'default-scheduler',
      securityContext: {},
      terminationGracePeriodSeconds: 30,
    })
  })

  test('spec and annotations make a generation, status and labels do not', async () => {
    await client.post(DEPLOYMENTS, deployment('generations'))
    const path = `${DEPLOYMENTS}/generations`
    const generation = async (): Promise<number> => (await client.get(path)).body.metadata.generation as number
    await client.merge(`${path}/status`, { status: { observedGeneration: 1 }, spec: { replicas: 9 } })
    await client.merge(path, { metadata: { labels: { a: 'b' } }, status: { replicas: 5 } })
    expect(await generation()).toBe(1)
    expect((await client.get(path)).body).toMatchObject({ spec: { replicas: 1 }, status: { observedGeneration: 1 } })
    await client.merge(path, { spec: { replicas: 2 } })
    expect(await generation()).toBe(2)
  })

  test('scale reads and writes the replicas', async () => {
    await client.post(DEPLOYMENTS, deployment('scaled'))
    const { body } = await client.get(`${DEPLOYMENTS}/scaled/scale`)
    expect(body).toMatchObject({
      kind: 'Scale',
      spec: { replicas: 1 },
      status: { replicas: 0, selector: 'app=scaled' },
    })
    await client.put(`${DEPLOYMENTS}/scaled/scale`, { ...body, spec: { replicas: 7 } })
    expect((await client.get(`${DEPLOYMENTS}/scaled`)).body.spec.replicas).toBe(7)
  })

  test('a Service gets an address, keeps it, and gives it back', async () => {
    const { body } = await client.post(SERVICES, { metadata: { name: 'addressed' }, spec: { ports: [{ port: 80 }] } })
    expect(body.spec).toMatchObject({
      clusterIPs: [body.spec.clusterIP],
      type: 'ClusterIP',
      sessionAffinity: 'None',
      internalTrafficPolicy: 'Cluster',
      ports: [{ port: 80, protocol: 'TCP', targetPort: 80 }],
    })
    const kept = await client.put(`${SERVICES}/addressed`, {
      metadata: { name: 'addressed' },
      spec: { ports: [{ port: 81 }] },
    })
    expect(kept.body.spec.clusterIP).toBe(body.spec.clusterIP)
    await client.remove(`${SERVICES}/addressed`)
    const again = await client.post(SERVICES, {
      metadata: { name: 'next' },
      spec: { clusterIP: body.spec.clusterIP, ports: [{ port: 1 }] },
    })
    expect(again.body.spec.clusterIP).toBe(body.spec.clusterIP)
  })

  test('a Job selects its pods by its uid, and its template is fixed', async () => {
    const { body } = await client.post(JOBS, {
      metadata: { name: 'once' },
      spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'x:1' }] } } },
    })
    const { uid } = body.metadata
    expect(body.spec.selector).toEqual({ matchLabels: { 'batch.kubernetes.io/controller-uid': uid } })
    expect(body.spec.template.metadata.labels).toMatchObject({
      'batch.kubernetes.io/job-name': 'once',
      'job-name': 'once',
    })
    const changed = await client.merge(`${JOBS}/once`, { spec: { template: { metadata: { labels: { a: 'b' } } } } })
    expect(changed.body.message).toContain('spec.template: Invalid value')
  })

  test('a running pod stays until its kubelet deletes it with grace 0; one without a node goes at once', async () => {
    const pod = (name: string, nodeName?: string) => ({
      metadata: { name },
      spec: { nodeName, containers: [{ name: 'main', image: 'x:1' }] },
    })
    await client.post(PODS, pod('free'))
    await client.remove(`${PODS}/free`)
    expect((await client.get(`${PODS}/free`)).code).toBe(404)
    await client.post(PODS, pod('bound', 'node-1'))
    const { body } = await client.remove(`${PODS}/bound`)
    expect(body.metadata).toMatchObject({ deletionGracePeriodSeconds: 30 })
    await client.remove(`${PODS}/bound`, { gracePeriodSeconds: 0 })
    expect((await client.get(`${PODS}/bound`)).code).toBe(404)
  })

  test('a pod is bound once, by a binding of its own name', async () => {
    await client.post(PODS, { metadata: { name: 'homeless' }, spec: { containers: [{ name: 'main', image: 'x:1' }] } })
    const path = `${PODS}/homeless/binding`
    const binding = { metadata: { name: 'homeless' }, target: { kind: 'Node', name: 'node-1' } }
    expect((await client.post(path, { target: binding.target })).body).toMatchObject({
      code: 400,
      message: 'name in URL does not match name in Binding object',
    })
    expect((await client.post(path, binding)).code).toBe(201)
    expect((await client.post(path, binding)).code).toBe(409)
  })

  test('a Service names every port that is out of range', async () => {
    const { body } = await client.post(SERVICES, { metadata: { name: 'ports' }, spec: { ports: [{ port: 0 }] } })
    const wrong = 'Invalid value: 0: must be between 1 and 65535, inclusive'
    expect(body.message).toBe(
      `Service "ports" is invalid: [spec.ports[0].port: ${wrong}, spec.ports[0].targetPort: ${wrong}]`,
    )
  })

  test('a deleted namespace refuses new objects until it is finalized', async () => {
    await client.post('/api/v1/namespaces', { metadata: { name: 'going' } })
    const { body } = await client.remove('/api/v1/namespaces/going')
    expect(body.status.phase).toBe('Terminating')
    const refused = await client.post('/api/v1/namespaces/going/configmaps', configMap('x'))
    expect(refused.body).toMatchObject({ code: 403, details: { causes: [{ reason: 'NamespaceTerminating' }] } })
    await client.put('/api/v1/namespaces/going/finalize', { ...body, spec: { finalizers: [] } })
    expect((await client.get('/api/v1/namespaces/going')).code).toBe(404)
  })

  test('strategic merge patches merge containers by name, ports by number and conditions by type', async () => {
    await client.post(PODS, { metadata: { name: 'patched' }, spec: { containers: [{ name: 'main', image: 'x:1' }] } })
    const condition = (type: string, status: string) => ({ type, status, reason: 'Because' })
    await client.strategic(`${PODS}/patched/status`, {
      status: { conditions: [condition('Ready', 'False'), condition('Initialized', 'True')] },
    })
    const { body } = await client.strategic(`${PODS}/patched/status`, {
      status: { conditions: [{ type: 'Ready', status: 'True', reason: null }] },
    })
    expect(body.status.conditions[0].reason).toBeUndefined()
    expect(body.status.conditions).toMatchObject([{ type: 'Ready', status: 'True' }, condition('Initialized', 'True')])
    const removed = await client.strategic(`${PODS}/patched/status`, {
      status: { conditions: [{ type: 'Ready', $patch: 'delete' }] },
    })
    expect(removed.body.status.conditions).toMatchObject([condition('Initialized', 'True')])
  })
})

describe('reading many', () => {
  test('selectors choose by labels and fields', async () => {
    await client.post(CONFIG_MAPS, configMap('sel-a', {}, { tier: 'a' }))
    await client.post(CONFIG_MAPS, configMap('sel-b', {}, { tier: 'b' }))
    const names = async (query: string): Promise<string[]> =>
      ((await client.get(`${CONFIG_MAPS}?${query}`)).body.items as { metadata: { name: string } }[]).map(
        (each) => each.metadata.name,
      )
    expect(await names('labelSelector=tier%3Da')).toEqual(['sel-a'])
    expect(await names('labelSelector=tier+in+(a,b),tier!%3Da')).toEqual(['sel-b'])
    expect(await names('fieldSelector=metadata.name%3Dsel-b')).toEqual(['sel-b'])
  })

  test.each([
    [PODS, 'field label not supported: spec.x'],
    [CONFIG_MAPS, '"spec.x" is not a known field selector: only "metadata.name", "metadata.namespace"'],
    ['/apis/batch/v1/jobs', 'field label "spec.x" not supported for Job'],
  ])('%s refuses a field that cannot be selected', async (path, message) => {
    expect((await client.get(`${path}?fieldSelector=spec.x%3D1`)).body).toMatchObject({ code: 400, message })
  })

  test('pages show one version, whatever happens between them', async () => {
    await client.post('/api/v1/namespaces', { metadata: { name: 'paged' } })
    const path = '/api/v1/namespaces/paged/configmaps'
    for (const name of ['a', 'b', 'c']) await client.post(path, configMap(name))
    const first = await client.get(`${path}?limit=2`)
    expect(first.body.metadata).toMatchObject({ remainingItemCount: 1 })
    await client.remove(`${path}/c`)
    const second = await client.get(`${path}?limit=2&continue=${first.body.metadata.continue}`)
    expect(namesOf(second.body.items)).toEqual(['c'])
    expect(second.body.metadata.resourceVersion).toBe(first.body.metadata.resourceVersion)
  })

  test('a version of the future is a timeout that may be tried again', async () => {
    const { code, body } = await client.get(
      `${CONFIG_MAPS}?resourceVersion=999999999&resourceVersionMatch=NotOlderThan`,
    )
    expect(code).toBe(504)
    expect(body.details.causes[0].reason).toBe('ResourceVersionTooLarge')
  })

  test('a Table has kubectl’s columns', async () => {
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json'
    const { body } = await client.ask('GET', DEPLOYMENTS, { accept })
    expect(body.kind).toBe('Table')
    expect((body.columnDefinitions as { name: string }[]).map((each) => each.name)).toEqual([
      'Name',
      'Ready',
      'Up-to-date',
      'Available',
      'Age',
      'Containers',
      'Images',
      'Selector',
    ])
  })
})

describe('for tests', () => {
  test('faults refuse or drop requests, and every request is counted', async () => {
    fault = ({ name }) =>
      name === 'busy' ? { status: 429, retryAfterSeconds: 7 } : name === 'cut' ? 'drop' : undefined
    const busy = await client.get(`${CONFIG_MAPS}/busy`)
    expect(busy).toMatchObject({ code: 429, headers: { 'retry-after': '7' }, body: { reason: 'TooManyRequests' } })
    await expect(client.get(`${CONFIG_MAPS}/cut`)).rejects.toThrow()
    fault = () => undefined
    expect(requests.find(({ name }) => name === 'busy')).toMatchObject({
      verb: 'get',
      resource: 'configmaps',
      code: 429,
      userAgent: 'test/1',
    })
  })

  test('a body over 3 MiB is refused and the server lives on', async () => {
    const { code } = await client.post(CONFIG_MAPS, {
      metadata: { name: 'big' },
      data: { a: 'x'.repeat(3 * 1024 * 1024) },
    })
    expect(code).toBe(413)
    expect((await client.get('/livez')).code).toBe(200)
  })
})
