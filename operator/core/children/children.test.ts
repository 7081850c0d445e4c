import { describe, expect, test } from '@jest/globals'
import type { ModelDeployment, ModelDeploymentSpec } from '../../api/resource.ts'
import { plan } from '../plan.ts'
import { GOOD, World } from '../world.ts'
import { canaryService, stableService } from './workload.ts'
import { podTemplate, resolveTemplate } from './pod-template.ts'

const model = { uri: 'https://models.example/m.onnx', version: '3' }
const owner = (spec: ModelDeploymentSpec): ModelDeployment => new World(spec, () => GOOD).resource
const rendered = (spec: ModelDeploymentSpec) =>
  podTemplate({ owner: owner(spec), revision: 'm-1a2b3c4d5e', image: 'server:1', uri: model.uri, sha256: 'ab' })

interface PodLike {
  metadata: { labels: Record<string, string> }
  spec: {
    securityContext: object
    automountServiceAccountToken: boolean
    terminationGracePeriodSeconds: number
    containers: { name: string; args: string[]; image: string; securityContext: object; env?: object[] }[]
    initContainers: { name: string; args: string[]; securityContext: object }[]
    nodeSelector?: object
  }
}

describe('a pod', () => {
  test('passes Pod Security restricted: every container, and no API token', () => {
    const { spec } = rendered({ model }) as unknown as PodLike
    expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } })
    expect(spec.automountServiceAccountToken).toBe(false)
    for (const container of [...spec.containers, ...spec.initContainers]) {
      expect(container.securityContext).toMatchObject({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        runAsNonRoot: true,
        capabilities: { drop: ['ALL'] },
      })
    }
  })

  test('is given a URI as it is, though the kubelet expands $(NAME) in arguments', () => {
    const input = {
      owner: owner({ model }),
      revision: 'm-1a2b3c4d5e',
      image: 'server:1',
      uri: 'https://x/$(HOME).onnx',
      sha256: 'ab',
    }
    const { spec } = podTemplate(input) as unknown as PodLike
    expect(spec.initContainers[0]?.args).toContain('--uri=https://x/$$(HOME).onnx')
  })

  test('leaves its last words, and is told by the kubelet if the Secret of its credentials is missing', () => {
    const { spec } = rendered({ model: { ...model, credentialsSecretRef: { name: 's3-read' } } }) as unknown as PodLike
    for (const container of [...spec.containers, ...spec.initContainers])
      expect(container).toMatchObject({ terminationMessagePolicy: 'FallbackToLogsOnError' })
    expect(spec.initContainers[0]).toMatchObject({ envFrom: [{ secretRef: { name: 's3-read' } }] })
    expect(spec).toMatchObject({
      volumes: expect.arrayContaining([{ name: 'credentials', secret: { secretName: 's3-read', optional: true } }]),
    })
  })

  test('has longer to end than it drains', () => {
    const { spec } = rendered({ model, server: { drainSeconds: 100 } }) as unknown as PodLike
    expect(spec.terminationGracePeriodSeconds).toBeGreaterThan(100)
  })

  test('fetches exactly what was resolved', () => {
    const { spec } = rendered({ model }) as unknown as PodLike
    expect(spec.initContainers[0]?.args).toEqual([
      'fetch',
      `--uri=${model.uri}`,
      '--sha256=ab',
      '--out=/penstock/model/model.onnx',
    ])
  })

  test('fetches the data beside the model that was resolved with it', () => {
    const input = { owner: owner({ model }), revision: 'm-1a2b3c4d5e', image: 'server:1', uri: model.uri, sha256: 'ab' }
    const { spec } = podTemplate({ ...input, dataSha256: 'cd' }) as unknown as PodLike
    expect(spec.initContainers[0]?.args.slice(2, 4)).toEqual(['--sha256=ab', '--data-sha256=cd'])
  })

  test("takes a user's template, but for the labels that it is selected by", () => {
    const template = {
      metadata: { labels: { team: 'fraud', 'penstock.dev/revision': 'mine' } },
      spec: {
        nodeSelector: { gpu: 'yes' },
        containers: [
          { name: 'server', env: [{ name: 'A', value: '1' }] },
          { name: 'sidecar', image: 'x' },
        ],
      },
    }
    const pod = rendered({ model, server: { podTemplate: template } }) as unknown as PodLike
    expect(pod.metadata.labels).toMatchObject({ team: 'fraud', 'penstock.dev/revision': 'm-1a2b3c4d5e' })
    expect(pod.spec.nodeSelector).toEqual({ gpu: 'yes' })
    expect(pod.spec.containers.map((each) => each.name)).toEqual(['server', 'sidecar'])
    expect(pod.spec.containers[0]).toMatchObject({
      image: 'server:1',
      env: [{ name: 'TMPDIR' }, { name: 'A', value: '1' }],
    })
  })
})

describe('a pod with TLS', () => {
  const tls = { secretName: 'fraud-tls' }
  const mounted = { name: 'tls', mountPath: '/penstock/tls', readOnly: true }
  const pair = ['--tls-cert-file=/penstock/tls/tls.crt', '--tls-key-file=/penstock/tls/tls.key']

  test.each([
    ['Simple by default', tls, pair],
    ['Mutual', { ...tls, mode: 'Mutual' as const }, [...pair, '--tls-client-ca-file=/penstock/tls/ca.crt']],
  ])('has the Secret, its flags, and probes that speak TLS: %s', (_mode, asked, flags) => {
    const pod = rendered({ model, server: { tls: asked } }) as unknown as PodLike
    const [server] = pod.spec.containers
    expect(server?.args.filter((flag) => flag.startsWith('--tls'))).toEqual(flags)
    expect(server).toMatchObject({ volumeMounts: expect.arrayContaining([mounted]) })
    for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'])
      expect(server).toHaveProperty([probe, 'httpGet', 'scheme'], 'HTTPS')
    expect(pod.spec).toMatchObject({
      volumes: expect.arrayContaining([{ name: 'tls', secret: { secretName: 'fraud-tls', defaultMode: 0o440 } }]),
    })
    expect(pod.metadata).toHaveProperty(['annotations', 'penstock.dev/scheme'], 'https')
  })

  test('says what it speaks, whatever the template of its user says', () => {
    const podTemplate = { metadata: { annotations: { team: 'fraud', 'penstock.dev/scheme': 'http' } } }
    const { metadata } = rendered({ model, server: { tls, podTemplate } }) as { metadata: { annotations: object } }
    expect(metadata.annotations).toMatchObject({ team: 'fraud', 'penstock.dev/scheme': 'https' })
  })

  test('or rather none, does not say that it has it, whatever the template of its user says', () => {
    const podTemplate = { metadata: { annotations: { team: 'fraud', 'penstock.dev/scheme': 'https' } } }
    const { metadata } = rendered({ model, server: { podTemplate } }) as { metadata: { annotations: object } }
    expect(metadata.annotations).toMatchObject({ team: 'fraud' })
    expect(metadata.annotations).not.toHaveProperty(['penstock.dev/scheme'])
  })

  test('shows its key to nobody but the server: not to the fetch container, nor to a resolve Job', () => {
    const pod = rendered({ model, server: { tls } }) as unknown as PodLike
    expect(JSON.stringify(pod.spec.initContainers)).not.toContain('tls')
    const labels = { 'penstock.dev/resolve': 'm-1a2b3c4d5e' }
    const resolve = resolveTemplate({ owner: owner({ model, server: { tls } }), image: 'i', labels, sha256: undefined })
    expect(JSON.stringify(resolve)).not.toContain('tls')
  })
})

test('a resolve pod has no serving label, no sidecar, and the placement of the template', () => {
  const spec = {
    model,
    server: { podTemplate: { spec: { nodeSelector: { gpu: 'yes' }, containers: [{ name: 'sidecar' }] } } },
  }
  const pod = resolveTemplate({
    owner: owner(spec),
    image: 'server:1',
    labels: { 'penstock.dev/resolve': 'm-1a2b3c4d5e' },
    sha256: undefined,
  }) as unknown as PodLike
  expect(pod.metadata.labels).toEqual({ 'penstock.dev/resolve': 'm-1a2b3c4d5e' })
  expect(pod.spec.containers.map((each) => each.name)).toEqual(['fetch'])
  expect(pod.spec.nodeSelector).toEqual({ gpu: 'yes' })
})

describe('a source that needs more than the network', () => {
  const secretive = { ...model, uri: 'pvc://weights/fraud/3/model.onnx', credentialsSecretRef: { name: 'reader' } }

  test('gives the fetch container, and it alone, the Secret and the claim', () => {
    const { spec } = rendered({ model: secretive }) as unknown as PodLike
    expect(spec.initContainers?.[0]).toMatchObject({
      envFrom: [{ secretRef: { name: 'reader' } }],
      env: expect.arrayContaining([{ name: 'PENSTOCK_PVC_DIR', value: '/penstock/claim' }]) as unknown,
      volumeMounts: expect.arrayContaining([
        { name: 'credentials', mountPath: '/penstock/credentials', readOnly: true },
        { name: 'claim', mountPath: '/penstock/claim', readOnly: true },
      ]) as unknown,
    })
    expect(JSON.stringify(spec.containers)).not.toMatch(/reader|credentials|claim/)
    expect(JSON.stringify(spec)).toContain('{"claimName":"weights","readOnly":true}')
  })

  test('gives them to the resolve Job, too', () => {
    const labels = {}
    const pod = resolveTemplate({ owner: owner({ model: secretive }), image: 's', labels, sha256: undefined })
    expect(JSON.stringify(pod)).toContain('"envFrom":[{"secretRef":{"name":"reader"}}]')
    expect(JSON.stringify(pod)).toContain('"secretName":"reader"')
  })
})

test('every child is owned, in its namespace, and its name fits a label', () => {
  const world = new World({ model, autoscaling: { maxReplicas: 3 } }, () => GOOD)
  for (let round = 0; round < 20; round += 1) {
    const next = plan(world.observe(), { defaultImage: 'server:1' }, world.now)
    for (const child of next.children) {
      const name = child.want === 'keep' ? child.name : child.object.metadata.name
      expect(name).toMatch(/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/)
      if (child.want !== 'keep')
        expect(child.object.metadata).toMatchObject({
          namespace: 'ns',
          ownerReferences: [{ uid: 'uid', controller: true }],
        })
    }
    world.commit(next)
    world.pass(1000, 0)
  }
  expect([...world.objects.keys()].map((key) => key.split('/')[0]).sort()).toEqual([
    'ConfigMap',
    'ControllerRevision',
    'Deployment',
    'HorizontalPodAutoscaler',
    'PodDisruptionBudget',
    'Service',
    'Service',
    'Service',
  ])
})

test('replicas are never in the applied fields of a Deployment', () => {
  const world = new World({ model, scaling: { replicas: 7 } }, () => GOOD)
  for (let round = 0; round < 10; round += 1) {
    const next = plan(world.observe(), { defaultImage: 'server:1' }, world.now)
    for (const child of next.children.filter((each) => each.want === 'scale')) {
      expect(Object.keys(child.object.spec as object)).not.toContain('replicas')
      expect(child).toMatchObject({ initialReplicas: 7, replicas: 7 })
    }
    world.commit(next)
    world.pass(1000, 0)
  }
})

test('a Service has gRPC where spec asks for it, for users and for the preview', () => {
  const portsWith = (service: NonNullable<ModelDeploymentSpec['service']>) =>
    [stableService, canaryService].map(
      (build) => (build(owner({ model, service }), 'm-1a2b3c4d5e', 'http').spec as { ports: object[] }).ports,
    )
  for (const ports of portsWith({ port: 81 }))
    expect(ports).toMatchObject([{ name: 'http', port: 81, targetPort: 'http' }])
  for (const ports of portsWith({ grpcPort: 9001 })) {
    expect(ports).toMatchObject([
      { name: 'http', port: 80 },
      { name: 'grpc', port: 9001, targetPort: 'grpc', appProtocol: 'kubernetes.io/h2c' },
    ])
  }
})
