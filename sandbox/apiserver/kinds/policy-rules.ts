/** HorizontalPodAutoscalers, PodDisruptionBudgets, EndpointSlices, Leases, ControllerRevisions and RBAC. */
import { invalid, notSupported, required, type FieldError } from '../field-error.ts'
import {
  ensureObject,
  equal,
  isObject,
  numberAt,
  objectAt,
  objectsAt,
  setDefault,
  stringAt,
  valueAt,
  type JsonObject,
  type KubeObject,
} from '../json.ts'
import { pathSegmentName, subdomainName } from '../validation/names.ts'
import { validateLabelSelector } from '../validation/selector.ts'
import type { KindRules } from './builtin-strategy.ts'

export const hpaRules: KindRules = {
  name: subdomainName,
  newStatus: () => ({ desiredReplicas: 0, currentMetrics: null }),
  applyDefaults(hpa) {
    const spec = ensureObject(hpa, 'spec')
    setDefault(spec, 'minReplicas', 1)
    if (objectsAt(spec, 'metrics').length === 0) {
      spec['metrics'] = [
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } },
      ]
    }
    const behavior = spec['behavior']
    if (!isObject(behavior)) return
    behavior['scaleUp'] = scaleUpDefaults(objectAt(behavior, 'scaleUp') ?? {})
    behavior['scaleDown'] = scaleDownDefaults(objectAt(behavior, 'scaleDown') ?? {})
  },
  validate: validateHpa,
}

function scaleUpDefaults(rules: JsonObject): JsonObject {
  return {
    stabilizationWindowSeconds: 0,
    selectPolicy: 'Max',
    policies: [
      { type: 'Pods', value: 4, periodSeconds: 15 },
      { type: 'Percent', value: 100, periodSeconds: 15 },
    ],
    ...rules,
  }
}

/** The stabilization window of scaling down has no default here: kube-controller-manager's flag gives it. */
function scaleDownDefaults(rules: JsonObject): JsonObject {
  return { selectPolicy: 'Max', policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }], ...rules }
}

function validateHpa(hpa: KubeObject): FieldError[] {
  const spec = objectAt(hpa, 'spec') ?? {}
  const errors: FieldError[] = []
  const min = numberAt(spec, 'minReplicas') ?? 1
  const max = numberAt(spec, 'maxReplicas') ?? 0
  if (min < 1) errors.push(invalid('spec.minReplicas', min, 'must be greater than or equal to 1'))
  if (max < 1) errors.push(invalid('spec.maxReplicas', max, 'must be greater than 0'))
  if (max < min) errors.push(invalid('spec.maxReplicas', max, 'must be greater than or equal to `minReplicas`'))
  for (const field of ['kind', 'name']) {
    if (!stringAt(spec, 'scaleTargetRef', field)) errors.push(required(`spec.scaleTargetRef.${field}`))
  }
  return errors
}

export const pdbRules: KindRules = {
  name: subdomainName,
  generationOf: ['spec'],
  conditionalUpdateOnly: true,
  newStatus: () => ({ disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 }),
  validate(pdb) {
    const spec = objectAt(pdb, 'spec') ?? {}
    const errors: FieldError[] = []
    if (spec['minAvailable'] !== undefined && spec['maxUnavailable'] !== undefined) {
      errors.push(invalid('spec', null, 'minAvailable and maxUnavailable cannot be both set'))
    }
    for (const field of ['minAvailable', 'maxUnavailable']) {
      const value = spec[field]
      if (typeof value === 'number' && value < 0)
        errors.push(invalid(`spec.${field}`, value, 'must be greater than or equal to 0'))
      if (typeof value === 'string' && !/^[0-9]+%$/.test(value)) {
        errors.push(
          invalid(
            `spec.${field}`,
            value,
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
          ),
        )
      }
    }
    const policy = stringAt(spec, 'unhealthyPodEvictionPolicy')
    if (policy !== undefined && policy !== 'IfHealthyBudget' && policy !== 'AlwaysAllow') {
      errors.push(notSupported('spec.unhealthyPodEvictionPolicy', policy, ['AlwaysAllow', 'IfHealthyBudget']))
    }
    const selector = objectAt(spec, 'selector')
    return selector ? [...errors, ...validateLabelSelector(selector, 'spec.selector')] : errors
  },
}

const ADDRESS_TYPES = ['FQDN', 'IPv4', 'IPv6']
const MAX_ENDPOINTS = 1000

export const endpointSliceRules: KindRules = {
  name: subdomainName,
  generationOf: ['endpoints', 'ports', 'addressType'],
  applyDefaults(slice) {
    for (const port of objectsAt(slice, 'ports')) {
      setDefault(port, 'name', '')
      setDefault(port, 'protocol', 'TCP')
    }
    for (const endpoint of objectsAt(slice, 'endpoints')) setDefault(endpoint, 'conditions', {})
  },
  validate(slice) {
    const type = stringAt(slice, 'addressType') ?? ''
    const errors: FieldError[] = []
    if (!type) errors.push(required('addressType'))
    else if (!ADDRESS_TYPES.includes(type)) errors.push(notSupported('addressType', type, ADDRESS_TYPES))
    const endpoints = objectsAt(slice, 'endpoints')
    if (endpoints.length > MAX_ENDPOINTS) {
      errors.push({
        reason: 'FieldValueTooMany',
        field: 'endpoints',
        message: `Too many: ${endpoints.length}: must have at most ${MAX_ENDPOINTS} items`,
      })
    }
    return errors
  },
  validateUpdate(slice, old) {
    if (slice['addressType'] === old['addressType']) return []
    return [invalid('addressType', slice['addressType'], 'field is immutable')]
  },
}

export const leaseRules: KindRules = {
  name: subdomainName,
  conditionalUpdateOnly: true,
  validate(lease) {
    const errors: FieldError[] = []
    const seconds = numberAt(lease, 'spec', 'leaseDurationSeconds')
    if (seconds !== undefined && seconds <= 0)
      errors.push(invalid('spec.leaseDurationSeconds', seconds, 'must be greater than 0'))
    const transitions = numberAt(lease, 'spec', 'leaseTransitions')
    if (transitions !== undefined && transitions < 0) {
      errors.push(invalid('spec.leaseTransitions', transitions, 'must be greater than or equal to 0'))
    }
    return errors
  },
}

export const controllerRevisionRules: KindRules = {
  name: subdomainName,
  validate(object) {
    const errors: FieldError[] = []
    const revision = numberAt(object, 'revision') ?? 0
    if (revision < 0) errors.push(invalid('revision', revision, 'must be greater than or equal to 0'))
    return errors
  },
  validateUpdate: (object, old) =>
    equal(object['data'], old['data']) ? [] : [invalid('data', object['data'], 'field is immutable')],
}

export const roleRules: KindRules = {
  name: pathSegmentName,
}

export const bindingRules: KindRules = {
  name: pathSegmentName,
  applyDefaults(binding) {
    const role = binding['roleRef']
    if (isObject(role) && !role['apiGroup']) role['apiGroup'] = 'rbac.authorization.k8s.io'
    for (const subject of objectsAt(binding, 'subjects')) {
      const people = subject['kind'] === 'User' || subject['kind'] === 'Group'
      if (people) setDefault(subject, 'apiGroup', 'rbac.authorization.k8s.io')
    }
  },
  validateUpdate(binding, old) {
    if (equal(valueAt(binding, 'roleRef'), valueAt(old, 'roleRef'))) return []
    return [invalid('roleRef', binding['roleRef'], 'cannot change roleRef')]
  },
}
