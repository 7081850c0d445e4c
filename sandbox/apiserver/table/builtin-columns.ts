/** kubectl's columns for the built-in kinds (pkg/printers/internalversion). */
import { listAt, numberAt, objectAt, objectsAt, stringAt, textOf, type KubeObject } from '../json.ts'
import { selectorText } from '../handlers/selector-text.ts'
import { ageColumn, ageOf, column, nameColumn, orNone } from './cells.ts'
import type { TableColumn } from './column.ts'
import { autoscalerColumns } from './autoscaler-columns.ts'
import { jobColumns } from './job-columns.ts'
import { podColumns } from './pod-columns.ts'
import { containerImages, containerNames } from './template-cells.ts'

const count = (object: KubeObject, ...path: string[]): number => numberAt(object, ...path) ?? 0

const templateColumns: TableColumn[] = [
  column('Containers', (object) => containerNames(object), { wide: true }),
  column('Images', (object) => containerImages(object), { wide: true }),
  column('Selector', (object) => selectorText(objectAt(object, 'spec', 'selector')), { wide: true }),
]

const deploymentColumns: TableColumn[] = [
  nameColumn,
  column('Ready', (object) => `${count(object, 'status', 'readyReplicas')}/${count(object, 'spec', 'replicas')}`),
  column('Up-to-date', (object) => count(object, 'status', 'updatedReplicas'), { type: 'integer' }),
  column('Available', (object) => count(object, 'status', 'availableReplicas'), { type: 'integer' }),
  ageColumn,
  ...templateColumns,
]

const replicaSetColumns: TableColumn[] = [
  nameColumn,
  column('Desired', (object) => count(object, 'spec', 'replicas'), { type: 'integer' }),
  column('Current', (object) => count(object, 'status', 'replicas'), { type: 'integer' }),
  column('Ready', (object) => count(object, 'status', 'readyReplicas'), { type: 'integer' }),
  ageColumn,
  ...templateColumns,
]

function externalIps(service: KubeObject): string {
  const type = stringAt(service, 'spec', 'type')
  if (type === 'ExternalName') return orNone(stringAt(service, 'spec', 'externalName'))
  const ingress = objectsAt(service, 'status', 'loadBalancer', 'ingress').map(
    (each) => stringAt(each, 'ip') ?? stringAt(each, 'hostname') ?? '',
  )
  const addresses = [...ingress, ...listAt(service, 'spec', 'externalIPs').map(textOf)].filter(Boolean)
  if (addresses.length > 0) return addresses.join(',')
  return type === 'LoadBalancer' ? '<pending>' : '<none>'
}

function servicePorts(service: KubeObject): string {
  const ports = objectsAt(service, 'spec', 'ports').map((port) => {
    const nodePort = numberAt(port, 'nodePort')
    return `${textOf(port['port'])}${nodePort ? `:${nodePort}` : ''}/${textOf(port['protocol'])}`
  })
  return orNone(ports.join(','))
}

function labelText(labels: Record<string, unknown> | undefined): string {
  return orNone(
    Object.entries(labels ?? {})
      .map(([key, value]) => `${key}=${String(value)}`)
      .join(','),
  )
}

const serviceColumns: TableColumn[] = [
  nameColumn,
  column('Type', (object) => orNone(stringAt(object, 'spec', 'type'))),
  column('Cluster-IP', (object) => orNone(stringAt(object, 'spec', 'clusterIP'))),
  column('External-IP', externalIps),
  column('Port(s)', servicePorts),
  ageColumn,
  column('Selector', (object) => labelText(objectAt(object, 'spec', 'selector')), { wide: true }),
]

/** Time since an event was last seen, with its count and first time when it came more than once. */
function lastSeen(event: KubeObject, now: number): string {
  const series = objectAt(event, 'series')
  const first = stringAt(event, 'firstTimestamp') ?? stringAt(event, 'eventTime')
  const last = stringAt(series, 'lastObservedTime') ?? stringAt(event, 'lastTimestamp') ?? first
  const times = numberAt(series, 'count') ?? count(event, 'count')
  const since = ageOf(last, now)
  return times > 1 ? `${since} (x${times} over ${ageOf(first, now)})` : since
}

function involved(event: KubeObject): string {
  const of = objectAt(event, 'involvedObject') ?? objectAt(event, 'regarding')
  const kind = (stringAt(of, 'kind') ?? '').toLowerCase()
  const name = stringAt(of, 'name') ?? ''
  return name ? `${kind}/${name}` : kind
}

const eventColumns: TableColumn[] = [
  column('Last Seen', lastSeen),
  column('Type', (event) => stringAt(event, 'type') ?? ''),
  column('Reason', (event) => stringAt(event, 'reason') ?? ''),
  column('Object', involved),
  column('Subobject', (event) => stringAt(event, 'involvedObject', 'fieldPath') ?? '', { wide: true }),
  column('Source', (event) => stringAt(event, 'source', 'component') ?? stringAt(event, 'reportingComponent') ?? '', {
    wide: true,
  }),
  column('Message', (event) => (stringAt(event, 'message') ?? stringAt(event, 'note') ?? '').trim()),
  column('First Seen', (event, now) => ageOf(stringAt(event, 'firstTimestamp') ?? stringAt(event, 'eventTime'), now), {
    wide: true,
  }),
  column('Count', (event) => numberAt(event, 'series', 'count') ?? Math.max(1, count(event, 'count')), { wide: true }),
  column('Name', (event) => event.metadata.name, { wide: true }),
]

function budgetLimit(budget: KubeObject, field: string): string {
  const value = objectAt(budget, 'spec')?.[field]
  return value === undefined ? 'N/A' : textOf(value)
}

const SHOWN_ENDPOINTS = 3

function firstFew(values: readonly string[], none: string): string {
  if (values.length === 0) return none
  const shown = values.slice(0, SHOWN_ENDPOINTS).join(',')
  return values.length > SHOWN_ENDPOINTS ? `${shown} + ${values.length - SHOWN_ENDPOINTS} more...` : shown
}

const endpointSliceColumns: TableColumn[] = [
  nameColumn,
  column('AddressType', (object) => stringAt(object, 'addressType') ?? ''),
  column('Ports', (object) =>
    firstFew(
      objectsAt(object, 'ports').map((port) => textOf(port['port'] ?? '*')),
      '<unset>',
    ),
  ),
  column('Endpoints', (object) =>
    firstFew(
      objectsAt(object, 'endpoints').flatMap((each) => listAt(each, 'addresses').map(textOf)),
      '<unset>',
    ),
  ),
  ageColumn,
]

function nodeStatus(node: KubeObject): string {
  const ready = objectsAt(node, 'status', 'conditions').find((each) => each['type'] === 'Ready')
  const state = ready === undefined ? 'Unknown' : ready['status'] === 'True' ? 'Ready' : 'NotReady'
  return objectAt(node, 'spec')?.['unschedulable'] === true ? `${state},SchedulingDisabled` : state
}

function nodeAddress(node: KubeObject, type: string): string {
  return orNone(
    stringAt(
      objectsAt(node, 'status', 'addresses').find((each) => each['type'] === type),
      'address',
    ),
  )
}

function nodeRoles(node: KubeObject): string {
  const prefix = 'node-role.kubernetes.io/'
  const roles = Object.keys(objectAt(node, 'metadata', 'labels') ?? {}).filter((key) => key.startsWith(prefix))
  return orNone(
    roles
      .map((key) => key.slice(prefix.length))
      .sort()
      .join(','),
  )
}

const nodeColumns: TableColumn[] = [
  nameColumn,
  column('Status', nodeStatus),
  column('Roles', nodeRoles),
  ageColumn,
  column('Version', (node) => stringAt(node, 'status', 'nodeInfo', 'kubeletVersion') ?? ''),
  column('Internal-IP', (node) => nodeAddress(node, 'InternalIP'), { wide: true }),
  column('External-IP', (node) => nodeAddress(node, 'ExternalIP'), { wide: true }),
  column('OS-Image', (node) => stringAt(node, 'status', 'nodeInfo', 'osImage') ?? '<unknown>', { wide: true }),
  column('Kernel-Version', (node) => stringAt(node, 'status', 'nodeInfo', 'kernelVersion') ?? '<unknown>', {
    wide: true,
  }),
  column(
    'Container-Runtime',
    (node) => stringAt(node, 'status', 'nodeInfo', 'containerRuntimeVersion') ?? '<unknown>',
    { wide: true },
  ),
]

const createdAt = column('Created At', (object) => stringAt(object, 'metadata', 'creationTimestamp') ?? '', {
  type: 'date',
})
const dataCount = column(
  'Data',
  (object) =>
    Object.keys(objectAt(object, 'data') ?? {}).length + Object.keys(objectAt(object, 'binaryData') ?? {}).length,
)

function subjects(binding: KubeObject, kind: string): string {
  const named = objectsAt(binding, 'subjects').filter((each) => each['kind'] === kind)
  return named
    .map((each) =>
      kind === 'ServiceAccount' ? `${stringAt(each, 'namespace') ?? ''}/${textOf(each['name'])}` : textOf(each['name']),
    )
    .join(', ')
}

const bindingColumns: TableColumn[] = [
  nameColumn,
  column(
    'Role',
    (object) => `${stringAt(object, 'roleRef', 'kind') ?? ''}/${stringAt(object, 'roleRef', 'name') ?? ''}`,
  ),
  ageColumn,
  column('Users', (object) => subjects(object, 'User'), { wide: true }),
  column('Groups', (object) => subjects(object, 'Group'), { wide: true }),
  column('ServiceAccounts', (object) => subjects(object, 'ServiceAccount'), { wide: true }),
]

/** Columns by `group/Kind`. */
export const COLUMNS: Readonly<Record<string, readonly TableColumn[]>> = {
  default: [nameColumn, ageColumn],
  '/Pod': podColumns,
  '/Service': serviceColumns,
  '/ConfigMap': [nameColumn, dataCount, ageColumn],
  '/Secret': [nameColumn, column('Type', (object) => stringAt(object, 'type') ?? ''), dataCount, ageColumn],
  '/Namespace': [nameColumn, column('Status', (object) => stringAt(object, 'status', 'phase') ?? ''), ageColumn],
  '/ServiceAccount': [nameColumn, column('Secrets', (object) => listAt(object, 'secrets').length), ageColumn],
  '/Node': nodeColumns,
  '/Event': eventColumns,
  'events.k8s.io/Event': eventColumns,
  'apps/Deployment': deploymentColumns,
  'apps/ReplicaSet': replicaSetColumns,
  'apps/ControllerRevision': [
    nameColumn,
    column('Controller', (object) => {
      const owner = objectsAt(object, 'metadata', 'ownerReferences').find((each) => each['controller'] === true)
      const group = (stringAt(owner, 'apiVersion') ?? '').split('/').reverse()[1]
      return owner
        ? `${textOf(owner['kind']).toLowerCase()}${group ? `.${group}` : ''}/${textOf(owner['name'])}`
        : '<none>'
    }),
    column('Revision', (object) => count(object, 'revision'), { type: 'integer' }),
    ageColumn,
  ],
  'batch/Job': jobColumns,
  'autoscaling/HorizontalPodAutoscaler': autoscalerColumns,
  'policy/PodDisruptionBudget': [
    nameColumn,
    column('Min Available', (object) => budgetLimit(object, 'minAvailable')),
    column('Max Unavailable', (object) => budgetLimit(object, 'maxUnavailable')),
    column('Allowed Disruptions', (object) => count(object, 'status', 'disruptionsAllowed'), { type: 'integer' }),
    ageColumn,
  ],
  'discovery.k8s.io/EndpointSlice': endpointSliceColumns,
  'coordination.k8s.io/Lease': [
    nameColumn,
    column('Holder', (object) => stringAt(object, 'spec', 'holderIdentity') ?? ''),
    ageColumn,
  ],
  'rbac.authorization.k8s.io/Role': [nameColumn, createdAt],
  'rbac.authorization.k8s.io/ClusterRole': [nameColumn, createdAt],
  'rbac.authorization.k8s.io/RoleBinding': bindingColumns,
  'rbac.authorization.k8s.io/ClusterRoleBinding': bindingColumns,
  'apiextensions.k8s.io/CustomResourceDefinition': [nameColumn, createdAt],
}
