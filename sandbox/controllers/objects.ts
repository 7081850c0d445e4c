/**
 * The parts of Kubernetes' built-in objects that the controllers read and write, as plain JSON (times are RFC 3339 strings).
 * Everything else in an object is carried along untouched.
 */

export interface OwnerReference {
  apiVersion: string
  kind: string
  name: string
  uid: string
  controller?: boolean
  blockOwnerDeletion?: boolean
}

export interface ObjectMeta {
  name: string
  uid: string
  resourceVersion: string
  namespace?: string
  generateName?: string
  generation?: number
  creationTimestamp: string
  deletionTimestamp?: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
  ownerReferences?: OwnerReference[]
  finalizers?: string[]
}

export interface KubeObject {
  apiVersion?: string
  kind?: string
  metadata: ObjectMeta
}

/** What a controller sends in a create: the API server adds uid, resourceVersion and creationTimestamp. */
export type NewObject<T extends KubeObject> = Omit<T, 'metadata' | 'status'> & {
  metadata: Partial<ObjectMeta>
}

export interface LabelSelector {
  matchLabels?: Record<string, string>
  matchExpressions?: LabelSelectorRequirement[]
}

export interface LabelSelectorRequirement {
  key: string
  operator: string
  values?: string[]
}

export interface Condition {
  type: string
  status: 'True' | 'False' | 'Unknown'
  reason?: string
  message?: string
  lastTransitionTime?: string
  lastUpdateTime?: string
  lastProbeTime?: string
  observedGeneration?: number
}

export interface ContainerPort {
  name?: string
  containerPort: number
  protocol?: string
}

export interface Container {
  name: string
  image?: string
  ports?: ContainerPort[]
  restartPolicy?: string
  resources?: { requests?: Record<string, string>; limits?: Record<string, string> }
}

export interface PodSpec {
  containers: Container[]
  initContainers?: Container[]
  nodeName?: string
  restartPolicy?: string
  hostname?: string
  subdomain?: string
}

export interface ContainerStatus {
  name: string
  restartCount?: number
  ready?: boolean
  state?: { terminated?: { finishedAt?: string; exitCode?: number } }
}

export interface PodStatus {
  phase?: string
  reason?: string
  podIP?: string
  podIPs?: { ip: string }[]
  startTime?: string
  conditions?: Condition[]
  containerStatuses?: ContainerStatus[]
  initContainerStatuses?: ContainerStatus[]
}

export interface Pod extends KubeObject {
  spec: PodSpec
  status?: PodStatus
}

export interface PodTemplate {
  metadata?: Partial<ObjectMeta>
  spec: PodSpec
}

export interface ReplicaSet extends KubeObject {
  spec: { replicas?: number; minReadySeconds?: number; selector: LabelSelector; template: PodTemplate }
  status?: ReplicaSetStatus
}

export interface ReplicaSetStatus {
  replicas: number
  fullyLabeledReplicas?: number
  readyReplicas?: number
  availableReplicas?: number
  terminatingReplicas?: number
  observedGeneration?: number
  conditions?: Condition[]
}

/** An absolute count, or a share such as `25%`. */
export type IntOrPercent = number | string

export interface Deployment extends KubeObject {
  spec: {
    replicas?: number
    selector: LabelSelector
    template: PodTemplate
    strategy?: { type?: string; rollingUpdate?: { maxSurge?: IntOrPercent; maxUnavailable?: IntOrPercent } | null }
    minReadySeconds?: number
    revisionHistoryLimit?: number
    progressDeadlineSeconds?: number
    paused?: boolean
  }
  status?: DeploymentStatus
}

export interface DeploymentStatus {
  observedGeneration?: number
  replicas?: number
  updatedReplicas?: number
  readyReplicas?: number
  availableReplicas?: number
  unavailableReplicas?: number
  terminatingReplicas?: number
  collisionCount?: number
  conditions?: Condition[]
}

export interface Job extends KubeObject {
  spec: {
    parallelism?: number
    completions?: number
    backoffLimit?: number
    activeDeadlineSeconds?: number
    ttlSecondsAfterFinished?: number
    suspend?: boolean
    selector?: LabelSelector
    template: PodTemplate
    completionMode?: string
    podReplacementPolicy?: string
    managedBy?: string
  }
  status?: JobStatus
}

export interface JobStatus {
  active?: number
  ready?: number
  succeeded?: number
  failed?: number
  terminating?: number
  startTime?: string
  completionTime?: string
  uncountedTerminatedPods?: { succeeded?: string[]; failed?: string[] }
  conditions?: Condition[]
}

export interface ServicePort {
  name?: string
  protocol?: string
  appProtocol?: string
  port: number
  targetPort?: number | string
}

export interface Service extends KubeObject {
  spec: {
    type?: string
    clusterIP?: string
    selector?: Record<string, string>
    ports?: ServicePort[]
    publishNotReadyAddresses?: boolean
  }
}

export interface EndpointPort {
  name?: string
  port?: number
  protocol?: string
  appProtocol?: string
}

export interface Endpoint {
  addresses: string[]
  conditions?: { ready?: boolean; serving?: boolean; terminating?: boolean }
  hostname?: string
  nodeName?: string
  targetRef?: { kind: string; namespace: string; name: string; uid: string }
}

export interface EndpointSlice extends KubeObject {
  addressType: string
  endpoints: Endpoint[] | null
  ports?: EndpointPort[] | null
}

export interface PodDisruptionBudget extends KubeObject {
  spec: { minAvailable?: IntOrPercent; maxUnavailable?: IntOrPercent; selector?: LabelSelector | null }
  status?: PodDisruptionBudgetStatus
}

export interface PodDisruptionBudgetStatus {
  observedGeneration?: number
  disruptedPods?: Record<string, string>
  disruptionsAllowed: number
  currentHealthy: number
  desiredHealthy: number
  expectedPods: number
  conditions?: Condition[]
}

export interface Namespace extends KubeObject {
  spec?: { finalizers?: string[] }
  status?: { phase?: string; conditions?: Condition[] }
}

export interface ConfigMap extends KubeObject {
  data?: Record<string, string>
}
