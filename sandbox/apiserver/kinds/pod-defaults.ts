/** Defaults of pods and pod templates, as pkg/apis/core/v1/defaults.go sets them: what every reader of a pod sees. */
import { ensureObject, isObject, objectsAt, setDefault, stringAt, type JsonObject } from '../json.ts'

const PROBES = ['livenessProbe', 'readinessProbe', 'startupProbe']

/** Completes a PodSpec, whether of a pod or of a template. */
export function applyPodSpecDefaults(spec: JsonObject): void {
  setDefault(spec, 'restartPolicy', 'Always')
  setDefault(spec, 'terminationGracePeriodSeconds', 30)
  setDefault(spec, 'dnsPolicy', 'ClusterFirst')
  setDefault(spec, 'securityContext', {})
  setDefault(spec, 'schedulerName', 'default-scheduler')
  if (stringAt(spec, 'serviceAccountName')) setDefault(spec, 'serviceAccount', spec['serviceAccountName'] ?? '')
  else if (stringAt(spec, 'serviceAccount')) spec['serviceAccountName'] = spec['serviceAccount'] ?? ''
  for (const container of objectsAt(spec, 'containers')) applyContainerDefaults(container, spec)
  for (const container of objectsAt(spec, 'initContainers')) applyContainerDefaults(container, spec)
  for (const volume of objectsAt(spec, 'volumes')) applyVolumeDefaults(volume)
}

/** What only pods get, not templates. */
export function applyPodDefaults(pod: JsonObject): void {
  const spec = ensureObject(pod, 'spec')
  applyPodSpecDefaults(spec)
  setDefault(spec, 'enableServiceLinks', true)
  for (const container of [...objectsAt(spec, 'containers'), ...objectsAt(spec, 'initContainers')]) {
    const resources = ensureObject(container, 'resources')
    const { limits } = resources
    if (!isObject(limits)) continue
    const requests = ensureObject(resources, 'requests')
    for (const [name, amount] of Object.entries(limits)) setDefault(requests, name, amount)
  }
}

function applyContainerDefaults(container: JsonObject, spec: JsonObject): void {
  setDefault(container, 'resources', {})
  setDefault(container, 'terminationMessagePath', '/dev/termination-log')
  setDefault(container, 'terminationMessagePolicy', 'File')
  const image = stringAt(container, 'image') ?? ''
  setDefault(container, 'imagePullPolicy', pullPolicyOf(image))
  for (const port of objectsAt(container, 'ports')) {
    setDefault(port, 'protocol', 'TCP')
    if (spec['hostNetwork'] === true) setDefault(port, 'hostPort', port['containerPort'] ?? 0)
  }
  for (const env of objectsAt(container, 'env')) applyEnvDefaults(env)
  for (const field of PROBES) {
    const probe = container[field]
    if (isObject(probe)) applyProbeDefaults(probe)
  }
  const hooks = container['lifecycle']
  if (isObject(hooks)) {
    for (const hook of ['postStart', 'preStop']) {
      const handler = hooks[hook]
      if (isObject(handler)) applyHttpGetDefaults(handler)
    }
  }
}

/** Untagged and :latest images are always pulled. */
function pullPolicyOf(image: string): string {
  if (image.includes('@')) return 'IfNotPresent'
  const tag = /:([^/:]+)$/.exec(image)?.[1]
  return tag === undefined || tag === 'latest' ? 'Always' : 'IfNotPresent'
}

function applyEnvDefaults(env: JsonObject): void {
  const source = env['valueFrom']
  if (!isObject(source)) return
  const fieldRef = source['fieldRef']
  if (isObject(fieldRef)) setDefault(fieldRef, 'apiVersion', 'v1')
  const resourceFieldRef = source['resourceFieldRef']
  if (isObject(resourceFieldRef)) setDefault(resourceFieldRef, 'divisor', '0')
}

function applyProbeDefaults(probe: JsonObject): void {
  setDefault(probe, 'timeoutSeconds', 1)
  setDefault(probe, 'periodSeconds', 10)
  setDefault(probe, 'successThreshold', 1)
  setDefault(probe, 'failureThreshold', 3)
  applyHttpGetDefaults(probe)
  const grpc = probe['grpc']
  if (isObject(grpc)) setDefault(grpc, 'service', '')
}

function applyHttpGetDefaults(handler: JsonObject): void {
  const httpGet = handler['httpGet']
  if (!isObject(httpGet)) return
  setDefault(httpGet, 'path', '/')
  setDefault(httpGet, 'scheme', 'HTTP')
}

const DEFAULT_MODE = 0o644
const TOKEN_SECONDS = 3600

function applyVolumeDefaults(volume: JsonObject): void {
  const sources = Object.keys(volume).filter((field) => field !== 'name')
  if (sources.length === 0) volume['emptyDir'] = {}
  for (const field of ['secret', 'configMap', 'downwardAPI', 'projected']) {
    const source = volume[field]
    if (isObject(source)) setDefault(source, 'defaultMode', DEFAULT_MODE)
  }
  const hostPath = volume['hostPath']
  if (isObject(hostPath)) setDefault(hostPath, 'type', '')
  for (const item of [
    ...objectsAt(volume, 'downwardAPI', 'items'),
    ...objectsAt(volume, 'projected', 'sources').flatMap((each) => objectsAt(each, 'downwardAPI', 'items')),
  ]) {
    const fieldRef = item['fieldRef']
    if (isObject(fieldRef)) setDefault(fieldRef, 'apiVersion', 'v1')
  }
  for (const source of objectsAt(volume, 'projected', 'sources')) {
    const token = source['serviceAccountToken']
    if (isObject(token)) setDefault(token, 'expirationSeconds', TOKEN_SECONDS)
  }
}
