/** The parts of Pods and their neighbours that a kubelet reads and writes, as plain JSON (times are RFC 3339 strings). */
import type { Condition, KubeObject, ObjectMeta } from '../controllers/objects.ts'

export interface KeySelector {
  name?: string
  key: string
  optional?: boolean
}

export interface EnvVar {
  name: string
  value?: string
  valueFrom?: {
    fieldRef?: { fieldPath: string }
    resourceFieldRef?: ResourceFieldRef
    configMapKeyRef?: KeySelector
    secretKeyRef?: KeySelector
  }
}

export interface ResourceFieldRef {
  containerName?: string
  resource: string
  divisor?: string
}

interface WholeObjectRef {
  name?: string
  optional?: boolean
}

export interface EnvFrom {
  prefix?: string
  configMapRef?: WholeObjectRef
  secretRef?: WholeObjectRef
}

export interface VolumeMount {
  name: string
  mountPath: string
  subPath?: string
  subPathExpr?: string
  readOnly?: boolean
}

export interface HttpGetAction {
  path?: string
  port: number | string
  host?: string
  scheme?: string
  httpHeaders?: { name: string; value: string }[]
}

export interface TcpSocketAction {
  port: number | string
  host?: string
}

export interface Probe {
  httpGet?: HttpGetAction
  tcpSocket?: TcpSocketAction
  exec?: { command?: string[] }
  grpc?: { port: number; service?: string }
  initialDelaySeconds?: number
  periodSeconds?: number
  timeoutSeconds?: number
  successThreshold?: number
  failureThreshold?: number
  terminationGracePeriodSeconds?: number
}

export interface LifecycleHandler {
  exec?: { command?: string[] }
  httpGet?: HttpGetAction
  tcpSocket?: TcpSocketAction
  sleep?: { seconds: number }
}

export interface Container {
  name: string
  image?: string
  imagePullPolicy?: string
  command?: string[]
  args?: string[]
  workingDir?: string
  env?: EnvVar[]
  envFrom?: EnvFrom[]
  ports?: { name?: string; containerPort: number; protocol?: string }[]
  resources?: { requests?: Record<string, string>; limits?: Record<string, string> }
  restartPolicy?: string
  volumeMounts?: VolumeMount[]
  livenessProbe?: Probe
  readinessProbe?: Probe
  startupProbe?: Probe
  lifecycle?: { postStart?: LifecycleHandler; preStop?: LifecycleHandler }
  terminationMessagePath?: string
  terminationMessagePolicy?: string
}

export interface KeyToPath {
  key: string
  path: string
  mode?: number
}

export interface KeysSource {
  name?: string
  items?: KeyToPath[]
  optional?: boolean
}

export interface DownwardFile {
  path: string
  fieldRef?: { fieldPath: string }
  resourceFieldRef?: ResourceFieldRef
  mode?: number
}

export interface ProjectedSource {
  configMap?: KeysSource
  secret?: KeysSource
  downwardAPI?: { items?: DownwardFile[] }
  serviceAccountToken?: { path: string; audience?: string; expirationSeconds?: number }
}

export interface Volume {
  name: string
  emptyDir?: object
  configMap?: KeysSource & { defaultMode?: number }
  secret?: { secretName?: string; items?: KeyToPath[]; optional?: boolean; defaultMode?: number }
  hostPath?: { path: string; type?: string }
  persistentVolumeClaim?: { claimName: string; readOnly?: boolean }
  downwardAPI?: { items?: DownwardFile[]; defaultMode?: number }
  projected?: { sources?: ProjectedSource[] | null; defaultMode?: number }
}

export interface PodSpec {
  containers: Container[]
  initContainers?: Container[]
  volumes?: Volume[]
  restartPolicy?: string
  nodeName?: string
  nodeSelector?: Record<string, string>
  schedulerName?: string
  schedulingGates?: { name: string }[]
  serviceAccountName?: string
  terminationGracePeriodSeconds?: number
  activeDeadlineSeconds?: number
  readinessGates?: { conditionType: string }[]
}

export interface PodCondition extends Omit<Condition, 'lastProbeTime'> {
  lastProbeTime?: string | null
}

export interface Terminated {
  exitCode: number
  reason: string
  message?: string
  startedAt: string
  finishedAt: string
  containerID?: string
}

export interface StateShown {
  waiting?: { reason?: string; message?: string }
  running?: { startedAt?: string }
  terminated?: Terminated
}

export interface ContainerStatus {
  name: string
  state: StateShown
  lastState: StateShown
  ready: boolean
  started: boolean
  restartCount: number
  image: string
  imageID: string
  containerID?: string
}

export interface PodStatus {
  phase?: string
  reason?: string
  message?: string
  hostIP?: string
  hostIPs?: { ip: string }[]
  podIP?: string
  podIPs?: { ip: string }[]
  startTime?: string
  qosClass?: string
  conditions?: PodCondition[]
  initContainerStatuses?: ContainerStatus[]
  containerStatuses?: ContainerStatus[]
}

export interface PodMeta extends ObjectMeta {
  namespace: string
  deletionGracePeriodSeconds?: number
}

export interface Pod extends KubeObject {
  metadata: PodMeta
  spec: PodSpec
  status?: PodStatus
}

export interface ConfigMap extends KubeObject {
  data?: Record<string, string>
  binaryData?: Record<string, string>
}

/** Values of `data` are base64. */
export interface Secret extends KubeObject {
  data?: Record<string, string>
}

/** How Kubernetes writes a pod in messages: `name_namespace(uid)`. */
export function podLabel(pod: Pod): string {
  return `${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})`
}
