import type { ModelDeploymentSpec, ModelDeploymentStatus } from './types.generated.ts'

export const GROUP = 'penstock.dev'
export const VERSION = 'v1alpha1'
export const KIND = 'ModelDeployment'
export const ACTION_ANNOTATION = 'penstock.dev/action'

/** The parts of ObjectMeta that Penstock reads. */
export interface ModelDeploymentMeta {
  readonly name: string
  readonly namespace: string
  readonly uid: string
  readonly generation: number
  readonly resourceVersion: string
  readonly creationTimestamp: string
  readonly deletionTimestamp?: string
  readonly annotations?: Readonly<Record<string, string>>
}

export interface ModelDeployment {
  readonly apiVersion?: string
  readonly kind?: string
  readonly metadata: ModelDeploymentMeta
  readonly spec: ModelDeploymentSpec
  readonly status?: ModelDeploymentStatus
}

export type { ModelDeploymentSpec, ModelDeploymentStatus }
export type ModelSpec = ModelDeploymentSpec['model']
export type ServerSpec = NonNullable<ModelDeploymentSpec['server']>
export type RolloutSpec = NonNullable<ModelDeploymentSpec['rollout']>
export type StepSpec = NonNullable<RolloutSpec['steps']>[number]
export type GateSpecOfApi = NonNullable<RolloutSpec['gates']>[number]
export type Condition = NonNullable<ModelDeploymentStatus['conditions']>[number]
