import type { ModelDeployment } from '../../api/resource.ts'
import type { RevisionName, Scheme } from '../revision.ts'
import {
  SCHEME_ANNOTATION,
  SERVER_PORT,
  commonLabels,
  ownedMetadata,
  revisionLabels,
  revisionSelector,
  type KubeObject,
} from './object.ts'
import type { RevisionRecord } from './revision-record.ts'

/** The Deployment of a revision, without `replicas`: these are set when it is created and through /scale afterwards, never applied. */
export function deployment(owner: ModelDeployment, record: RevisionRecord): KubeObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: ownedMetadata(owner, record.revision, revisionLabels(owner, record.revision)),
    spec: {
      selector: { matchLabels: revisionSelector(record.revision) },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      revisionHistoryLimit: 1,
      template: record.template,
    },
  }
}

/** The revision's own Service: what the relay and a preview reach it by. */
export function revisionService(owner: ModelDeployment, revision: RevisionName, scheme: Scheme): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: ownedMetadata(owner, revision, revisionLabels(owner, revision)),
    spec: { type: 'ClusterIP', selector: revisionSelector(revision), ports: [servicePort(SERVER_PORT, scheme)] },
  }
}

/** The Service that users call. Before the first promotion it selects nothing: no unproven pod ever answers a user. */
export function stableService(owner: ModelDeployment, stable: RevisionName | undefined, scheme: Scheme): KubeObject {
  const { name } = owner.metadata
  const { type = 'ClusterIP', annotations } = owner.spec.service ?? {}
  const metadata = ownedMetadata(owner, name, commonLabels(owner))
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: annotations === undefined ? metadata : { ...metadata, annotations },
    spec: { type, selector: revisionSelector(stable ?? 'none'), ports: publicPorts(owner, scheme) },
  }
}

/** The preview: the candidate while there is one, else stable. */
export function canaryService(owner: ModelDeployment, previewed: RevisionName | undefined, scheme: Scheme): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: ownedMetadata(owner, `${owner.metadata.name}-canary`, commonLabels(owner)),
    spec: {
      type: 'ClusterIP',
      selector: revisionSelector(previewed ?? 'none'),
      ports: publicPorts(owner, scheme),
    },
  }
}

export function disruptionBudget(owner: ModelDeployment, revision: RevisionName): KubeObject {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: ownedMetadata(owner, revision, revisionLabels(owner, revision)),
    spec: {
      maxUnavailable: owner.spec.disruption?.maxUnavailable ?? 1,
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
      selector: { matchLabels: revisionSelector(revision) },
    },
  }
}

export interface AutoscalerInput {
  readonly owner: ModelDeployment
  readonly revision: RevisionName
  /** Never fewer pods than this, whatever spec says: a candidate is kept at stable's size. */
  readonly atLeast: number
  /** True for stable during a rollout: it keeps its full capacity until the candidate is promoted. */
  readonly keepCapacity: boolean
}

/** The HPA of a revision; only for a ModelDeployment with spec.autoscaling. */
export function autoscaler({ owner, revision, atLeast, keepCapacity }: AutoscalerInput): KubeObject {
  const {
    minReplicas = 1,
    maxReplicas,
    metrics = [DEFAULT_METRIC],
    behavior = {},
  } = owner.spec.autoscaling ?? { maxReplicas: 1 }
  const scaleDown = { ...(behavior.scaleDown as object | undefined), ...(keepCapacity && { selectPolicy: 'Disabled' }) }
  const adjusted = Object.keys(scaleDown).length > 0 ? { ...behavior, scaleDown } : behavior
  const floor = Math.max(minReplicas, atLeast)
  return {
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: ownedMetadata(owner, revision, revisionLabels(owner, revision)),
    spec: {
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: revision },
      minReplicas: floor,
      maxReplicas: Math.max(maxReplicas, floor),
      metrics,
      ...(Object.keys(adjusted).length > 0 && { behavior: adjusted }),
    },
  }
}

const DEFAULT_METRIC = {
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
}

/** REST, and gRPC for those who ask for it: a port that nobody wanted should not be open to everybody. */
function publicPorts({ spec: { service = {} } }: ModelDeployment, scheme: Scheme) {
  const { port = 80, grpcPort } = service
  const appProtocol = scheme === 'https' ? 'https' : 'kubernetes.io/h2c'
  const grpc = { name: 'grpc', port: grpcPort, targetPort: 'grpc', protocol: 'TCP', appProtocol }
  return grpcPort === undefined ? [servicePort(port, scheme)] : [servicePort(port, scheme), grpc]
}

interface DeploymentLike {
  readonly spec?: {
    readonly template?: { readonly metadata?: { readonly annotations?: Readonly<Record<string, string>> } }
  }
}

interface ServiceLike {
  readonly spec?: { readonly ports?: readonly { readonly appProtocol?: string }[] }
}

/** What live objects of a revision say that its pods speak: its Deployment, or its Service when that is gone. */
export function schemeShown(
  deployment: DeploymentLike | undefined,
  service: ServiceLike | undefined,
): Scheme | undefined {
  if (deployment === undefined && service === undefined) return undefined
  const said =
    deployment === undefined
      ? service?.spec?.ports?.[0]?.appProtocol
      : deployment.spec?.template?.metadata?.annotations?.[SCHEME_ANNOTATION]
  return said === 'https' ? 'https' : 'http'
}

function servicePort(port: number, scheme: Scheme) {
  const plain = { name: 'http', port, targetPort: 'http', protocol: 'TCP' }
  return scheme === 'https' ? { ...plain, appProtocol: 'https' } : plain
}
