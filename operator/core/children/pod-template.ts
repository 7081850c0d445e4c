import type { ModelDeployment, ServerSpec } from '../../api/resource.ts'
import type { RevisionName } from '../revision.ts'
import { isObject, mergeTemplate } from './merge-template.ts'
import {
  FETCH_CONTAINER,
  GRPC_PORT,
  REVISION_LABEL,
  SCHEME_ANNOTATION,
  SERVER_CONTAINER,
  SERVER_PORT,
  revisionLabels,
} from './object.ts'
import { trafficConfigMapName } from './traffic.ts'

/** Our mounts lie under a folder of our own, so that they hide nothing that a user's image or volume has. */
const MODEL_DIR = '/penstock/model'
const TMP_DIR = '/penstock/tmp'
const MODEL_FILE = `${MODEL_DIR}/model.onnx`
const TRAFFIC_DIR = '/etc/penstock/traffic'
const CREDENTIALS_DIR = '/penstock/credentials'
const CLAIM_DIR = '/penstock/claim'
const TLS_DIR = '/penstock/tls'
/** For the group of the pod, which a Secret's files belong to. */
const TLS_FILE_MODE = 0o440
/** Endpoints are taken out of Services while this runs, so that no new connection arrives once the server is told to stop. */
const PRE_STOP_SECONDS = 5
const GRACE_MARGIN_SECONDS = 15

export type PodTemplate = Readonly<Record<string, unknown>>

/** What a revision's pods are rendered from; every default is resolved here, once, and frozen with the result. */
export interface TemplateInput {
  readonly owner: ModelDeployment
  readonly revision: RevisionName
  readonly image: string
  /** Immutable source. */
  readonly uri: string
  readonly sha256: string
  /** Of the files beside the model that hold its data; undefined when there are none. */
  readonly dataSha256?: string | undefined
}

/** The pod template of a revision: fetch the exact file, serve it. Passes Pod Security `restricted`. */
export function podTemplate(input: TemplateInput): PodTemplate {
  const { owner, revision } = input
  const server = owner.spec.server ?? {}
  const labels = revisionLabels(owner, revision)
  const ours = {
    metadata: { labels, annotations: { 'kubectl.kubernetes.io/default-container': SERVER_CONTAINER } },
    spec: {
      ...POD_HARDENING,
      terminationGracePeriodSeconds: drainSeconds(server) + PRE_STOP_SECONDS + GRACE_MARGIN_SECONDS,
      initContainers: [
        fetchContainer({
          owner,
          image: input.image,
          args: [`--uri=${input.uri}`, ...pinArgs(input)],
        }),
      ],
      containers: [serverContainer(input, server)],
      volumes: [
        ...SCRATCH_VOLUMES,
        ...accessOf(owner).volumes,
        ...tlsVolumes(server),
        { name: 'traffic', configMap: { name: trafficConfigMapName(owner.metadata.name), optional: true } },
      ],
    },
  }
  const merged = mergeTemplate(ours, server.podTemplate ?? {})
  const annotations = server.tls === undefined ? {} : { annotations: { [SCHEME_ANNOTATION]: 'https' } }
  // Law: whatever a user's template says, a pod carries the labels that its Deployment and Services select by, and says what it speaks.
  return mergeTemplate(withoutScheme(merged), {
    metadata: { labels: { [REVISION_LABEL]: revision, ...labels }, ...annotations },
  })
}

function withoutScheme(template: PodTemplate): PodTemplate {
  const { metadata } = template
  if (!isObject(metadata) || !isObject(metadata.annotations)) return template
  const { [SCHEME_ANNOTATION]: _theirs, ...annotations } = metadata.annotations
  return { ...template, metadata: { ...metadata, annotations } }
}

export interface ResolveInput {
  readonly owner: ModelDeployment
  readonly image: string
  readonly labels: Readonly<Record<string, string>>
  /** Digest that the file must have; undefined for whatever is there. */
  readonly sha256: string | undefined
  readonly dataSha256?: string | undefined
}

/** The pod template of a revision's resolve Job: the same place and identity, but it only fetches, inspects and tells. */
export function resolveTemplate(input: ResolveInput): PodTemplate {
  const { owner, image, labels } = input
  const { model, server = {} } = owner.spec
  const { volumes } = accessOf(owner)
  const args = [`--uri=${model.uri}`, ...pinArgs(input), '--inspect', '--termination-log=/dev/termination-log']
  const ours = {
    metadata: { labels },
    spec: {
      ...POD_HARDENING,
      restartPolicy: 'Never',
      containers: [
        {
          ...fetchContainer({ owner, image, args }),
          terminationMessagePath: '/dev/termination-log',
        },
      ],
      volumes: [...SCRATCH_VOLUMES, ...volumes],
    },
  }
  const { metadata: _labels, ...theirs } = server.podTemplate ?? {}
  return mergeTemplate(ours, withoutServers(theirs))
}

function pinArgs({ sha256, dataSha256 }: Pick<ResolveInput, 'sha256' | 'dataSha256'>): readonly string[] {
  return [
    ...(sha256 === undefined ? [] : [`--sha256=${sha256}`]),
    ...(dataSha256 === undefined ? [] : [`--data-sha256=${dataSha256}`]),
  ]
}

/** A Job must end, so a user's sidecars and changes to the server container stay out of it; volumes and placement come along. */
function withoutServers(template: PodTemplate): PodTemplate {
  const { spec } = template
  if (!isObject(spec)) return {}
  const { containers: _servers, initContainers = [], restartPolicy: _always, ...placement } = spec
  const fetchers = Array.isArray(initContainers)
    ? initContainers.filter((each: unknown) => isObject(each) && each.name === FETCH_CONTAINER)
    : []
  return { spec: { ...placement, ...(fetchers.length > 0 && { containers: fetchers }) } }
}

const POD_HARDENING = {
  automountServiceAccountToken: false,
  enableServiceLinks: false,
  securityContext: {
    runAsNonRoot: true,
    runAsUser: 65532,
    runAsGroup: 65532,
    fsGroup: 65532,
    seccompProfile: { type: 'RuntimeDefault' },
  },
}

const CONTAINER_HARDENING = {
  securityContext: {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    runAsNonRoot: true,
    capabilities: { drop: ['ALL'] },
  },
}

/** Where a container leaves no message of its own, the end of its log says why it failed. */
const LAST_WORDS = { terminationMessagePolicy: 'FallbackToLogsOnError' }

const SCRATCH_VOLUMES = [
  { name: 'models', emptyDir: {} },
  { name: 'tmp', emptyDir: {} },
]

const DEFAULT_RESOURCES = { requests: { cpu: '100m', memory: '192Mi' } }

/** What only the fetch container has, besides the network: it alone sees credentials and other people's volumes. */
interface Access {
  readonly envFrom: readonly object[]
  readonly env: readonly object[]
  readonly volumes: readonly object[]
  readonly mounts: readonly object[]
}

/**
 * A Secret's keys become environment variables, and files, for tools whose variables name a file. A `pvc:` URI names a claim, which is
 * mounted to be read. The operator sees neither. The volume alone may be without its Secret: the variables are not, and for these the
 * kubelet says in the pod's status that it is missing, where for a volume it would wait without a word.
 */
function accessOf({ spec: { model } }: ModelDeployment): Access {
  const secret = model.credentialsSecretRef?.name
  const claimName = /^pvc:\/\/([a-z0-9][a-z0-9.-]*)\//.exec(model.uri)?.[1]
  const mounted = [
    ...(secret === undefined
      ? []
      : [{ name: 'credentials', path: CREDENTIALS_DIR, source: { secret: { secretName: secret, optional: true } } }]),
    ...(claimName === undefined
      ? []
      : [{ name: 'claim', path: CLAIM_DIR, source: { persistentVolumeClaim: { claimName, readOnly: true } } }]),
  ]
  return {
    envFrom: secret === undefined ? [] : [{ secretRef: { name: secret } }],
    env: claimName === undefined ? [] : [{ name: 'PENSTOCK_PVC_DIR', value: CLAIM_DIR }],
    volumes: mounted.map(({ name, source }) => ({ name, ...source })),
    mounts: mounted.map(({ name, path }) => ({ name, mountPath: path, readOnly: true })),
  }
}

interface FetchInput {
  readonly owner: ModelDeployment
  readonly image: string
  readonly args: readonly string[]
}

function fetchContainer({ owner, image, args }: FetchInput) {
  const { envFrom, env, mounts } = accessOf(owner)
  return {
    name: FETCH_CONTAINER,
    image,
    args: ['fetch', ...args, `--out=${MODEL_FILE}`].map(literal),
    ...LAST_WORDS,
    env: [{ name: 'TMPDIR', value: TMP_DIR }, ...env],
    ...(envFrom.length > 0 && { envFrom }),
    resources: owner.spec.server?.resources ?? DEFAULT_RESOURCES,
    ...CONTAINER_HARDENING,
    volumeMounts: [{ name: 'models', mountPath: MODEL_DIR }, { name: 'tmp', mountPath: TMP_DIR }, ...mounts],
  }
}

function tlsVolumes({ tls }: ServerSpec): readonly object[] {
  return tls === undefined ? [] : [{ name: 'tls', secret: { secretName: tls.secretName, defaultMode: TLS_FILE_MODE } }]
}

function tlsArgs({ tls }: ServerSpec): readonly string[] {
  if (tls === undefined) return []
  const pair = [`--tls-cert-file=${TLS_DIR}/tls.crt`, `--tls-key-file=${TLS_DIR}/tls.key`]
  return tls.mode === 'Mutual' ? [...pair, `--tls-client-ca-file=${TLS_DIR}/ca.crt`] : pair
}

function serverContainer({ owner, revision, image }: TemplateInput, server: ServerSpec) {
  const { name } = owner.metadata
  const { tls } = server
  const probe = tls === undefined ? probeBy('HTTP') : probeBy('HTTPS')
  return {
    name: SERVER_CONTAINER,
    image,
    args: [
      'serve',
      `--model-dir=${MODEL_DIR}`,
      `--model-name=${name}`,
      `--model-version=${owner.spec.model.version ?? revision}`,
      `--revision=${revision}`,
      `--port=${SERVER_PORT}`,
      `--grpc-port=${GRPC_PORT}`,
      `--traffic-dir=${TRAFFIC_DIR}`,
      `--batch-max-size=${server.batching?.maxSize ?? 64}`,
      `--batch-max-delay-ms=${server.batching?.maxDelayMs ?? 0}`,
      `--warmup-requests=${server.warmup?.requests ?? 8}`,
      `--drain-seconds=${drainSeconds(server)}`,
      ...tlsArgs(server),
    ],
    ports: [
      { name: 'http', containerPort: SERVER_PORT, protocol: 'TCP' },
      { name: 'grpc', containerPort: GRPC_PORT, protocol: 'TCP' },
    ],
    ...LAST_WORDS,
    env: [{ name: 'TMPDIR', value: TMP_DIR }],
    resources: server.resources ?? DEFAULT_RESOURCES,
    ...CONTAINER_HARDENING,
    startupProbe: probe('/readyz', { periodSeconds: 1, failureThreshold: 600, timeoutSeconds: 5 }),
    readinessProbe: probe('/readyz', { periodSeconds: 2, failureThreshold: 2, timeoutSeconds: 5 }),
    livenessProbe: probe('/livez', { periodSeconds: 10, failureThreshold: 6, timeoutSeconds: 5 }),
    lifecycle: { preStop: { sleep: { seconds: PRE_STOP_SECONDS } } },
    volumeMounts: [
      { name: 'models', mountPath: MODEL_DIR, readOnly: true },
      { name: 'traffic', mountPath: TRAFFIC_DIR, readOnly: true },
      { name: 'tmp', mountPath: TMP_DIR },
      ...(tls === undefined ? [] : [{ name: 'tls', mountPath: TLS_DIR, readOnly: true }]),
    ],
  }
}

/** The kubelet expands `$(NAME)` in arguments and makes one `$` of two; a URI that has such a thing means it literally. */
function literal(argument: string): string {
  return argument.replaceAll('$', () => '$$')
}

function probeBy(scheme: 'HTTP' | 'HTTPS') {
  return (path: string, timing: Readonly<Record<string, number>>) => ({
    httpGet: { path, port: 'http', scheme },
    ...timing,
  })
}

function drainSeconds(server: ServerSpec): number {
  return server.drainSeconds ?? 30
}
