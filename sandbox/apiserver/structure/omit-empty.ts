/**
 * Which scalar fields of the built-in kinds vanish when they are empty. The published schemas do not tell Go's `omitempty` values from
 * pointers, so the numbers and booleans that are values are listed here; strings vanish unless the field is required or listed.
 */
import type { StructType } from './field-type.ts'

const BOOLEANS = new Set([
  'hostNetwork',
  'hostPID',
  'hostIPC',
  'stdin',
  'stdinOnce',
  'tty',
  'paused',
  'readOnly',
  'publishNotReadyAddresses',
  'unschedulable',
])

const NUMBERS = new Set([
  'minReadySeconds',
  'initialDelaySeconds',
  'timeoutSeconds',
  'periodSeconds',
  'successThreshold',
  'failureThreshold',
  'hostPort',
  'nodePort',
  'healthCheckNodePort',
  'observedGeneration',
  'generation',
])

/** Counters of a status that are values, not pointers. */
const STATUS_NUMBERS: Readonly<Record<string, readonly string[]>> = {
  'apps.v1.DeploymentStatus': [
    'replicas',
    'updatedReplicas',
    'readyReplicas',
    'availableReplicas',
    'unavailableReplicas',
  ],
  'apps.v1.ReplicaSetStatus': ['fullyLabeledReplicas', 'readyReplicas', 'availableReplicas'],
  'batch.v1.JobStatus': ['active', 'succeeded', 'failed'],
  'autoscaling.v2.HorizontalPodAutoscalerStatus': ['currentReplicas'],
  'autoscaling.v1.ScaleSpec': ['replicas'],
  'core.v1.Event': ['count'],
}

/** Strings behind pointers: an empty one is a value. */
const POINTER_STRINGS = new Set([
  'EndpointPort.name',
  'EndpointPort.appProtocol',
  'PersistentVolumeClaimSpec.storageClassName',
])

export function isOmittedWhenEmpty(owner: StructType, field: string, value: string | number | boolean): boolean {
  if (owner.required.includes(field)) return false
  if (typeof value === 'boolean') return BOOLEANS.has(field)
  if (typeof value === 'number') return NUMBERS.has(field) || (STATUS_NUMBERS[owner.name]?.includes(field) ?? false)
  const shortName = owner.name.split('.').at(-1) ?? ''
  return !POINTER_STRINGS.has(`${shortName}.${field}`)
}
