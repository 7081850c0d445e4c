/** The built-in kinds that the sandbox serves: one row per endpoint. */
import type { ClusterIps } from '../cluster-ips.ts'
import { stringAt } from '../json.ts'
import type { BuiltinTypes } from '../structure/builtin-types.ts'
import type { StructType } from '../structure/field-type.ts'
import { COLUMNS } from '../table/builtin-columns.ts'
import { allowAccess, describeUser, listRules } from './access-reviews.ts'
import { builtinStrategy, type KindRules } from './builtin-strategy.ts'
import {
  configMapRules,
  EVENT_FIELDS,
  eventRules,
  namespaceRules,
  nodeRules,
  POD_FIELDS,
  podRules,
  secretRules,
} from './core-rules.ts'
import { crdRules } from './crd-rules.ts'
import { eventConversion } from './event-conversion.ts'
import {
  bindingRules,
  controllerRevisionRules,
  endpointSliceRules,
  hpaRules,
  leaseRules,
  pdbRules,
  roleRules,
} from './policy-rules.ts'
import type { ResourceType, ScalePaths, Subresource } from './resource-type.ts'
import { serviceRules } from './service-rules.ts'
import { deploymentRules, jobRules, replicaSetRules } from './workload-rules.ts'

const ALL_VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']
const WORKLOAD_SCALE: ScalePaths = {
  specReplicas: ['spec', 'replicas'],
  statusReplicas: ['status', 'replicas'],
  selector: ['spec', 'selector'],
}

interface Row {
  readonly api: string
  readonly kind: string
  readonly plural: string
  readonly structure: string
  readonly rules?: KindRules
  readonly short?: readonly string[]
  readonly categories?: readonly string[]
  readonly cluster?: true
  readonly subresources?: readonly Subresource[]
  readonly fields?: ResourceType['selectableFields']
  readonly verbs?: readonly string[]
  readonly extra?: Partial<ResourceType>
}

function rows(ips: ClusterIps, metadata: StructType): Row[] {
  return [
    ...coreRows(),
    ...podAndServiceRows(ips),
    ...workloadRows(),
    ...policyRows(),
    ...rbacRows(),
    ...reviewRows(),
    {
      api: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      plural: 'customresourcedefinitions',
      structure: 'apiextensions.v1.CustomResourceDefinition',
      rules: crdRules(metadata),
      short: ['crd', 'crds'],
      categories: ['api-extensions'],
      cluster: true,
      subresources: ['status'],
    },
  ]
}

function workloadRows(): Row[] {
  return [
    {
      api: 'events.k8s.io/v1',
      kind: 'Event',
      plural: 'events',
      structure: 'events.v1.Event',
      short: ['ev'],
      fields: EVENT_FIELDS,
      extra: { shelf: 'events', convert: eventConversion },
    },
    {
      api: 'apps/v1',
      kind: 'Deployment',
      plural: 'deployments',
      structure: 'apps.v1.Deployment',
      rules: deploymentRules,
      short: ['deploy'],
      categories: ['all'],
      subresources: ['scale', 'status'],
      extra: { scale: WORKLOAD_SCALE },
    },
    {
      api: 'apps/v1',
      kind: 'ReplicaSet',
      plural: 'replicasets',
      structure: 'apps.v1.ReplicaSet',
      rules: replicaSetRules,
      short: ['rs'],
      categories: ['all'],
      subresources: ['scale', 'status'],
      extra: { scale: WORKLOAD_SCALE },
    },
    {
      api: 'apps/v1',
      kind: 'ControllerRevision',
      plural: 'controllerrevisions',
      structure: 'apps.v1.ControllerRevision',
      rules: controllerRevisionRules,
    },
    {
      api: 'batch/v1',
      kind: 'Job',
      plural: 'jobs',
      structure: 'batch.v1.Job',
      rules: jobRules,
      categories: ['all'],
      subresources: ['status'],
      fields: { 'status.successful': (job) => stringAt(job, 'status', 'succeeded') ?? '0' },
    },
  ]
}

function policyRows(): Row[] {
  return [
    {
      api: 'autoscaling/v2',
      kind: 'HorizontalPodAutoscaler',
      plural: 'horizontalpodautoscalers',
      structure: 'autoscaling.v2.HorizontalPodAutoscaler',
      rules: hpaRules,
      short: ['hpa'],
      categories: ['all'],
      subresources: ['status'],
    },
    {
      api: 'policy/v1',
      kind: 'PodDisruptionBudget',
      plural: 'poddisruptionbudgets',
      structure: 'policy.v1.PodDisruptionBudget',
      rules: pdbRules,
      short: ['pdb'],
      subresources: ['status'],
    },
    {
      api: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      plural: 'endpointslices',
      structure: 'discovery.v1.EndpointSlice',
      rules: endpointSliceRules,
    },
    {
      api: 'coordination.k8s.io/v1',
      kind: 'Lease',
      plural: 'leases',
      structure: 'coordination.v1.Lease',
      rules: leaseRules,
    },
  ]
}

function coreRows(): Row[] {
  return [
    {
      api: 'v1',
      kind: 'ConfigMap',
      plural: 'configmaps',
      structure: 'core.v1.ConfigMap',
      rules: configMapRules,
      short: ['cm'],
    },
    {
      api: 'v1',
      kind: 'Event',
      plural: 'events',
      structure: 'core.v1.Event',
      rules: eventRules,
      short: ['ev'],
      fields: EVENT_FIELDS,
    },
    {
      api: 'v1',
      kind: 'Namespace',
      plural: 'namespaces',
      structure: 'core.v1.Namespace',
      rules: namespaceRules,
      short: ['ns'],
      cluster: true,
      subresources: ['finalize', 'status'],
      fields: { 'status.phase': (object) => stringAt(object, 'status', 'phase') ?? '' },
      verbs: ALL_VERBS.filter((verb) => verb !== 'deletecollection'),
    },
    {
      api: 'v1',
      kind: 'Node',
      plural: 'nodes',
      structure: 'core.v1.Node',
      rules: nodeRules,
      short: ['no'],
      cluster: true,
      subresources: ['status'],
      fields: { 'spec.unschedulable': (node) => stringAt(node, 'spec', 'unschedulable') ?? 'false' },
    },
    {
      api: 'v1',
      kind: 'Secret',
      plural: 'secrets',
      structure: 'core.v1.Secret',
      rules: secretRules,
      fields: { type: (secret) => stringAt(secret, 'type') ?? '' },
    },
    {
      api: 'v1',
      kind: 'ServiceAccount',
      plural: 'serviceaccounts',
      structure: 'core.v1.ServiceAccount',
      rules: { returnsDeleted: true },
      short: ['sa'],
    },
  ]
}

function podAndServiceRows(ips: ClusterIps): Row[] {
  return [
    {
      api: 'v1',
      kind: 'Pod',
      plural: 'pods',
      structure: 'core.v1.Pod',
      rules: podRules,
      short: ['po'],
      categories: ['all'],
      subresources: ['binding', 'eviction', 'log', 'status'],
      fields: POD_FIELDS,
    },
    {
      api: 'v1',
      kind: 'Service',
      plural: 'services',
      structure: 'core.v1.Service',
      rules: serviceRules(ips),
      short: ['svc'],
      categories: ['all'],
      subresources: ['status'],
      fields: {
        'spec.type': (service) => stringAt(service, 'spec', 'type') ?? '',
        'spec.clusterIP': (service) => stringAt(service, 'spec', 'clusterIP') ?? '',
      },
    },
  ]
}

function rbacRows(): Row[] {
  const api = 'rbac.authorization.k8s.io/v1'
  return [
    {
      api,
      kind: 'ClusterRole',
      plural: 'clusterroles',
      structure: 'rbac.v1.ClusterRole',
      rules: roleRules,
      cluster: true,
    },
    {
      api,
      kind: 'ClusterRoleBinding',
      plural: 'clusterrolebindings',
      structure: 'rbac.v1.ClusterRoleBinding',
      rules: bindingRules,
      cluster: true,
    },
    { api, kind: 'Role', plural: 'roles', structure: 'rbac.v1.Role', rules: roleRules },
    { api, kind: 'RoleBinding', plural: 'rolebindings', structure: 'rbac.v1.RoleBinding', rules: bindingRules },
  ]
}

function reviewRows(): Row[] {
  const api = 'authorization.k8s.io/v1'
  const review = (kind: string, answerCreate: NonNullable<ResourceType['answerCreate']>): Row => ({
    api,
    kind,
    plural: `${kind.toLowerCase()}s`,
    structure: `authorization.v1.${kind}`,
    verbs: ['create'],
    extra: { answerCreate },
  })
  return [
    { ...review('LocalSubjectAccessReview', allowAccess) },
    { ...review('SelfSubjectAccessReview', allowAccess), cluster: true },
    { ...review('SelfSubjectRulesReview', listRules), cluster: true },
    { ...review('SubjectAccessReview', allowAccess), cluster: true },
    {
      ...review('SelfSubjectReview', describeUser),
      api: 'authentication.k8s.io/v1',
      structure: 'authorization.v1.SelfSubjectAccessReview',
      cluster: true,
    },
  ]
}

/** All built-in endpoints. Services take their addresses from `ips`. */
export function builtinTypes(structures: BuiltinTypes, ips: ClusterIps): ResourceType[] {
  return rows(ips, structures.struct('meta.v1.ObjectMeta')).map((row) => toResourceType(row, structures))
}

function toResourceType(row: Row, structures: BuiltinTypes): ResourceType {
  const [version = '', group = ''] = row.api.split('/').reverse()
  const structure = structures.struct(row.structure)
  return {
    group,
    version,
    plural: row.plural,
    singular: row.kind.toLowerCase(),
    kind: row.kind,
    listKind: `${row.kind}List`,
    shortNames: row.short ?? [],
    categories: row.categories ?? [],
    namespaced: !row.cluster,
    custom: false,
    verbs: row.verbs ?? ALL_VERBS,
    subresources: new Set(row.subresources ?? []),
    shelf: group ? `${group}/${row.plural}` : row.plural,
    structure,
    strategy: builtinStrategy({ kind: row.kind, version }, structure, row.rules ?? {}),
    columns: COLUMNS[`${group}/${row.kind}`] ?? COLUMNS['default'] ?? [],
    selectableFields: row.fields ?? {},
    ...row.extra,
  }
}
