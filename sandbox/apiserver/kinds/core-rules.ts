/** Pods, Namespaces, ConfigMaps, Secrets, Nodes and Events. */
import { forbiddenField, invalid, required, tooLong, type FieldError } from '../field-error.ts'
import {
  ensureObject,
  equal,
  numberAt,
  objectAt,
  objectsAt,
  setDefault,
  stringAt,
  valueAt,
  type JsonObject,
  type KubeObject,
  textOf,
} from '../json.ts'
import { labelName, subdomainName } from '../validation/names.ts'
import type { KindRules } from './builtin-strategy.ts'
import { applyPodDefaults } from './pod-defaults.ts'
import { validatePodSpec } from './pod-validation.ts'
import { qosClassOf } from './qos.ts'

const MAX_DATA_BYTES = 1024 * 1024
const DEFAULT_GRACE_SECONDS = 30

export const podRules: KindRules = {
  name: subdomainName,
  generationOf: ['spec'],
  newStatus: (pod) => ({ phase: 'Pending', qosClass: qosClassOf(pod) }),
  statusKeepsMetadata: ['labels', 'ownerReferences'],
  returnsDeleted: true,
  applyDefaults: applyPodDefaults,
  onCreate(pod) {
    const spec = ensureObject(pod, 'spec')
    setDefault(spec, 'serviceAccountName', 'default')
    setDefault(spec, 'serviceAccount', spec['serviceAccountName'] ?? '')
    setDefault(spec, 'priority', 0)
    setDefault(spec, 'preemptionPolicy', 'PreemptLowerPriority')
    setDefault(spec, 'tolerations', [
      { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
      { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
    ])
  },
  validate: (pod) => validatePodSpec(objectAt(pod, 'spec') ?? {}, 'spec'),
  validateUpdate: validatePodUpdate,
  gracePeriodSeconds(pod, asked) {
    const own = numberAt(pod, 'spec', 'terminationGracePeriodSeconds') ?? DEFAULT_GRACE_SECONDS
    const phase = stringAt(pod, 'status', 'phase')
    if (!stringAt(pod, 'spec', 'nodeName') || phase === 'Succeeded' || phase === 'Failed') return 0
    return asked ?? own
  },
}

/** Of a pod's spec only images, the deadline, tolerations and the grace period of a deletion may change. */
function validatePodUpdate(pod: KubeObject, old: KubeObject): FieldError[] {
  if (equal(fixedPart(pod), fixedPart(old))) return []
  const detail =
    'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)'
  return [forbiddenField('spec', detail)]
}

function fixedPart(pod: KubeObject): JsonObject {
  const spec = { ...objectAt(pod, 'spec') }
  for (const field of ['activeDeadlineSeconds', 'tolerations', 'schedulingGates']) delete spec[field]
  const withoutImage = (container: JsonObject): JsonObject => ({ ...container, image: '' })
  if (stringAt(spec, 'nodeName') === undefined) spec['nodeName'] = ''
  for (const field of ['containers', 'initContainers']) spec[field] = objectsAt(spec, field).map(withoutImage)
  return spec
}

export const namespaceRules: KindRules = {
  name: labelName,
  newStatus: () => ({ phase: 'Active' }),
  onCreate(namespace) {
    ensureObject(namespace, 'spec')['finalizers'] = ['kubernetes']
  },
  applyDefaults(namespace) {
    ensureObject(namespace.metadata, 'labels')['kubernetes.io/metadata.name'] = namespace.metadata.name
  },
}

export const nodeRules: KindRules = {
  name: subdomainName,
  newStatus: (node) => objectAt(node, 'status') ?? {},
}

export const configMapRules: KindRules = {
  name: subdomainName,
  validate: (object) => validateData(object, ['data', 'binaryData']),
  validateUpdate: (object, old) => validateImmutable(object, old, ['data', 'binaryData']),
}

export const secretRules: KindRules = {
  name: subdomainName,
  applyDefaults(secret) {
    setDefault(secret, 'type', 'Opaque')
    const texts = objectAt(secret, 'stringData')
    if (!texts) return
    const data = ensureObject(secret, 'data')
    for (const [key, value] of Object.entries(texts)) data[key] = Buffer.from(textOf(value)).toString('base64')
    delete secret['stringData']
  },
  validate: (object) => validateData(object, ['data']),
  validateUpdate(object, old) {
    const errors = validateImmutable(object, old, ['data'])
    if (object['type'] !== old['type']) errors.push(invalid('type', object['type'], 'field is immutable'))
    return errors
  },
}

function validateData(object: KubeObject, fields: readonly string[]): FieldError[] {
  const errors: FieldError[] = []
  let bytes = 0
  for (const field of fields) {
    for (const [key, value] of Object.entries(objectAt(object, field) ?? {})) {
      bytes += textOf(value).length
      if (!/^[-._a-zA-Z0-9]+$/.test(key) || key.length > 253) {
        errors.push(
          invalid(
            `${field}[${key}]`,
            key,
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
          ),
        )
      }
    }
  }
  if (bytes > MAX_DATA_BYTES) errors.push(tooLong(object.kind === 'Secret' ? 'data' : '', MAX_DATA_BYTES))
  return errors
}

function validateImmutable(object: KubeObject, old: KubeObject, fields: readonly string[]): FieldError[] {
  if (old['immutable'] !== true) return []
  const errors = fields
    .filter((field) => !equal(object[field], old[field]))
    .map((field) => forbiddenField(field, 'field is immutable when `immutable` is set'))
  if (object['immutable'] !== true)
    errors.push(forbiddenField('immutable', 'field is immutable when `immutable` is set'))
  return errors
}

export const eventRules: KindRules = {
  name: subdomainName,
  validate(event) {
    if (!objectAt(event, 'involvedObject')) return [required('involvedObject')]
    const namespace = stringAt(event, 'involvedObject', 'namespace') ?? ''
    const own = textOf(event.metadata['namespace'])
    if (namespace === '' ? own === 'default' || own === 'kube-system' : namespace === own) return []
    return [invalid('involvedObject.namespace', namespace, 'does not match event.namespace')]
  },
}

/** Field selectors that pods offer. */
export const POD_FIELDS: Readonly<Record<string, (pod: KubeObject) => string>> = {
  'spec.nodeName': (pod) => stringAt(pod, 'spec', 'nodeName') ?? '',
  'spec.restartPolicy': (pod) => stringAt(pod, 'spec', 'restartPolicy') ?? '',
  'spec.schedulerName': (pod) => stringAt(pod, 'spec', 'schedulerName') ?? '',
  'spec.serviceAccountName': (pod) => stringAt(pod, 'spec', 'serviceAccountName') ?? '',
  'spec.hostNetwork': (pod) => String(valueAt(pod, 'spec', 'hostNetwork') === true),
  'status.phase': (pod) => stringAt(pod, 'status', 'phase') ?? '',
  'status.podIP': (pod) => stringAt(pod, 'status', 'podIP') ?? '',
  'status.nominatedNodeName': (pod) => stringAt(pod, 'status', 'nominatedNodeName') ?? '',
}

export const EVENT_FIELDS: Readonly<Record<string, (event: KubeObject) => string>> = {
  ...Object.fromEntries(
    ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map((field) => [
      `involvedObject.${field}`,
      (event: KubeObject) => stringAt(event, 'involvedObject', field) ?? '',
    ]),
  ),
  reason: (event) => stringAt(event, 'reason') ?? '',
  reportingComponent: (event) => stringAt(event, 'reportingComponent') ?? '',
  source: (event) => stringAt(event, 'source', 'component') ?? stringAt(event, 'reportingComponent') ?? '',
  type: (event) => stringAt(event, 'type') ?? '',
}
