/** Deployments, ReplicaSets and Jobs: defaults, what may change, and what is generated. */
import { invalid, required, type FieldError } from '../field-error.ts'
import {
  ensureObject,
  equal,
  isObject,
  numberAt,
  objectAt,
  setDefault,
  stringAt,
  valueAt,
  type JsonObject,
  type KubeObject,
  textOf,
} from '../json.ts'
import { matchesLabelSelector } from '../selectors/label-selector.ts'
import { subdomainName } from '../validation/names.ts'
import { validateLabelSelector } from '../validation/selector.ts'
import type { KindRules } from './builtin-strategy.ts'
import { applyPodSpecDefaults } from './pod-defaults.ts'
import { validatePodTemplate } from './pod-validation.ts'

export const deploymentRules: KindRules = {
  name: subdomainName,
  generationOf: ['spec', 'annotations'],
  newStatus: () => ({}),
  applyDefaults(object) {
    const spec = ensureObject(object, 'spec')
    applyTemplateDefaults(spec)
    setDefault(spec, 'replicas', 1)
    setDefault(spec, 'revisionHistoryLimit', 10)
    setDefault(spec, 'progressDeadlineSeconds', 600)
    const strategy = ensureObject(spec, 'strategy')
    setDefault(strategy, 'type', 'RollingUpdate')
    if (strategy['type'] !== 'RollingUpdate') return
    const rolling = ensureObject(strategy, 'rollingUpdate')
    setDefault(rolling, 'maxUnavailable', '25%')
    setDefault(rolling, 'maxSurge', '25%')
  },
  validate: (object) => [...validateSelectedTemplate(object, ['Always']), ...validateDeploymentSpec(object)],
  validateUpdate: selectorIsImmutable,
}

export const replicaSetRules: KindRules = {
  name: subdomainName,
  generationOf: ['spec'],
  newStatus: () => ({ replicas: 0 }),
  applyDefaults(object) {
    const spec = ensureObject(object, 'spec')
    applyTemplateDefaults(spec)
    setDefault(spec, 'replicas', 1)
  },
  validate: (object) => validateSelectedTemplate(object, ['Always']),
  validateUpdate: selectorIsImmutable,
}

export const jobRules: KindRules = {
  name: subdomainName,
  generationOf: ['spec'],
  newStatus: () => ({}),
  orphansByDefault: true,
  applyDefaults(object) {
    const spec = ensureObject(object, 'spec')
    applyTemplateDefaults(spec)
    if (spec['completions'] === undefined && spec['parallelism'] === undefined) spec['completions'] = 1
    setDefault(spec, 'parallelism', 1)
    setDefault(spec, 'backoffLimit', spec['backoffLimitPerIndex'] === undefined ? 6 : 2 ** 31 - 1)
    setDefault(spec, 'completionMode', 'NonIndexed')
    setDefault(spec, 'suspend', false)
    setDefault(spec, 'podReplacementPolicy', spec['podFailurePolicy'] === undefined ? 'TerminatingOrFailed' : 'Failed')
    setDefault(spec, 'manualSelector', false)
    if (spec['manualSelector'] === false) delete spec['manualSelector']
    const labels = objectAt(spec, 'template', 'metadata', 'labels')
    if (labels && objectAt(object, 'metadata', 'labels') === undefined && Object.keys(labels).length > 0) {
      object.metadata['labels'] = { ...labels }
    }
  },
  onCreate: generateJobSelector,
  validate: (object) => [...validateSelectedTemplate(object, ['OnFailure', 'Never']), ...validateJobSpec(object)],
  validateUpdate(object, old) {
    const errors = selectorIsImmutable(object, old)
    for (const field of ['template', 'completions', 'completionMode', 'podFailurePolicy', 'backoffLimitPerIndex']) {
      const mutable = field === 'template' && isSuspendedAndIdle(old)
      if (!mutable && !equal(valueAt(object, 'spec', field), valueAt(old, 'spec', field))) {
        errors.push(invalid(`spec.${field}`, valueAt(object, 'spec', field), 'field is immutable'))
      }
    }
    return errors
  },
}

/** The template of a suspended job that has not started may be changed (KEP-2926). */
function isSuspendedAndIdle(job: KubeObject): boolean {
  return valueAt(job, 'spec', 'suspend') === true && stringAt(job, 'status', 'startTime') === undefined
}

function applyTemplateDefaults(spec: JsonObject): void {
  const template = ensureObject(spec, 'template')
  setDefault(template, 'metadata', {})
  applyPodSpecDefaults(ensureObject(template, 'spec'))
}

/** A Job selects its pods by its own uid, unless a person chose the selector. */
function generateJobSelector(job: KubeObject): void {
  const spec = ensureObject(job, 'spec')
  if (spec['manualSelector'] === true) return
  const uid = textOf(job.metadata['uid'])
  const labels = ensureObject(ensureObject(ensureObject(spec, 'template'), 'metadata'), 'labels')
  labels['batch.kubernetes.io/controller-uid'] = uid
  labels['batch.kubernetes.io/job-name'] = job.metadata.name
  labels['controller-uid'] = uid
  labels['job-name'] = job.metadata.name
  const selector = ensureObject(spec, 'selector')
  ensureObject(selector, 'matchLabels')['batch.kubernetes.io/controller-uid'] = uid
}

function validateSelectedTemplate(object: KubeObject, restartPolicies: readonly string[]): FieldError[] {
  const spec = objectAt(object, 'spec') ?? {}
  const selector = objectAt(spec, 'selector')
  const errors: FieldError[] = []
  if (!selector) errors.push(required('spec.selector'))
  else {
    errors.push(...validateLabelSelector(selector, 'spec.selector'))
    if (object.kind !== 'Job' && Object.keys(selector).length === 0) {
      errors.push(
        invalid(
          'spec.selector',
          selector,
          `empty selector is invalid for ${object.kind === 'Deployment' ? 'deployment' : 'replicaset'}`,
        ),
      )
    }
    const labels = objectAt(spec, 'template', 'metadata', 'labels') ?? {}
    if (!matchesLabelSelector(selector, labels)) {
      errors.push(invalid('spec.template.metadata.labels', labels, '`selector` does not match template `labels`'))
    }
  }
  return [
    ...errors,
    ...nonNegative(spec, ['replicas', 'minReadySeconds', 'revisionHistoryLimit', 'progressDeadlineSeconds']),
    ...validatePodTemplate(spec, restartPolicies),
  ]
}

function validateDeploymentSpec(object: KubeObject): FieldError[] {
  const spec = objectAt(object, 'spec') ?? {}
  const strategy = objectAt(spec, 'strategy') ?? {}
  const errors: FieldError[] = []
  const type = stringAt(strategy, 'type')
  if (type !== 'RollingUpdate' && type !== 'Recreate') {
    errors.push({
      reason: 'FieldValueNotSupported',
      field: 'spec.strategy.type',
      message: `Unsupported value: ${JSON.stringify(type)}: supported values: "Recreate", "RollingUpdate"`,
    })
  }
  if (type === 'Recreate' && strategy['rollingUpdate'] !== undefined) {
    errors.push({
      reason: 'FieldValueForbidden',
      field: 'spec.strategy.rollingUpdate',
      message: "Forbidden: may not be specified when strategy `type` is 'Recreate'",
    })
  }
  const { maxSurge, maxUnavailable } = objectAt(strategy, 'rollingUpdate') ?? {}
  if (type === 'RollingUpdate' && isZero(maxSurge) && isZero(maxUnavailable)) {
    errors.push(
      invalid('spec.strategy.rollingUpdate.maxUnavailable', maxUnavailable, 'may not be 0 when `maxSurge` is 0'),
    )
  }
  const deadline = numberAt(spec, 'progressDeadlineSeconds')
  const { minReadySeconds = 0 } = spec
  if (deadline !== undefined && deadline <= Number(minReadySeconds)) {
    errors.push(invalid('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds'))
  }
  return errors
}

function isZero(value: unknown): boolean {
  return value === 0 || value === '0' || value === '0%'
}

function validateJobSpec(object: KubeObject): FieldError[] {
  const spec = objectAt(object, 'spec') ?? {}
  return nonNegative(spec, [
    'parallelism',
    'completions',
    'activeDeadlineSeconds',
    'backoffLimit',
    'ttlSecondsAfterFinished',
  ])
}

function nonNegative(spec: JsonObject, fields: readonly string[]): FieldError[] {
  return fields.flatMap((field) => {
    const value = numberAt(spec, field)
    return value !== undefined && value < 0
      ? [invalid(`spec.${field}`, value, 'must be greater than or equal to 0')]
      : []
  })
}

function selectorIsImmutable(object: KubeObject, old: KubeObject): FieldError[] {
  const selector = valueAt(object, 'spec', 'selector')
  if (equal(selector, valueAt(old, 'spec', 'selector'))) return []
  return [invalid('spec.selector', isObject(selector) ? selector : undefined, 'field is immutable')]
}
