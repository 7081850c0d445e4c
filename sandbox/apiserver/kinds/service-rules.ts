import type { ClusterIps } from '../cluster-ips.ts'
import { duplicate, invalid, notSupported, required, type FieldError } from '../field-error.ts'
import {
  ensureObject,
  listAt,
  numberAt,
  objectAt,
  objectsAt,
  setDefault,
  stringAt,
  valueAt,
  type Json,
  type JsonObject,
  type KubeObject,
  textOf,
} from '../json.ts'
import { internalError, invalidObject } from '../status.ts'
import { labelName } from '../validation/names.ts'
import type { KindRules } from './builtin-strategy.ts'

const TYPES = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort']
const NODE_PORTS = { from: 30_000, to: 32_767 }
const MAX_PORT = 65_535

/** Services: addresses from `ips`, one family, what defaults and validation a client sees. */
export function serviceRules(ips: ClusterIps): KindRules {
  const nodePorts = new Set<number>()
  return {
    name: labelName,
    returnsDeleted: true,
    newStatus: () => ({ loadBalancer: {} }),
    applyDefaults: applyServiceDefaults,
    onCreate(service, { dryRun }) {
      allocateAddress(service, ips, dryRun)
      allocateNodePorts(service, nodePorts)
    },
    onUpdate(service, old, { dryRun }) {
      keepAllocated(service, old)
      if (!needsAddress(service)) release(old, ips)
      else if (!needsAddress(old)) allocateAddress(service, ips, dryRun)
      allocateNodePorts(service, nodePorts)
    },
    validate: (service) => validateService(service),
    validateUpdate: clusterIpIsImmutable,
    afterDelete(service) {
      release(service, ips)
      for (const port of objectsAt(service, 'spec', 'ports')) nodePorts.delete(numberAt(port, 'nodePort') ?? 0)
    },
  }
}

function applyServiceDefaults(service: KubeObject): void {
  const spec = ensureObject(service, 'spec')
  setDefault(spec, 'sessionAffinity', 'None')
  setDefault(spec, 'type', 'ClusterIP')
  if (spec['sessionAffinity'] === 'ClientIP') {
    const config = ensureObject(ensureObject(spec, 'sessionAffinityConfig'), 'clientIP')
    setDefault(config, 'timeoutSeconds', 10_800)
  }
  for (const port of objectsAt(spec, 'ports')) {
    setDefault(port, 'protocol', 'TCP')
    if (port['targetPort'] === 0 || port['targetPort'] === '') delete port['targetPort']
    setDefault(port, 'targetPort', port['port'] ?? 0)
  }
  const type = stringAt(spec, 'type')
  if (type === 'NodePort' || type === 'LoadBalancer') setDefault(spec, 'externalTrafficPolicy', 'Cluster')
  if (type === 'LoadBalancer') setDefault(spec, 'allocateLoadBalancerNodePorts', true)
  if (type !== 'ExternalName') setDefault(spec, 'internalTrafficPolicy', 'Cluster')
}

function needsAddress(service: KubeObject): boolean {
  return stringAt(service, 'spec', 'type') !== 'ExternalName'
}

function allocateAddress(service: KubeObject, ips: ClusterIps, dryRun: boolean): void {
  if (!needsAddress(service)) return
  const spec = ensureObject(service, 'spec')
  setDefault(spec, 'ipFamilies', ['IPv4'])
  setDefault(spec, 'ipFamilyPolicy', 'SingleStack')
  const wanted = stringAt(spec, 'clusterIP') ?? listAt(spec, 'clusterIPs').map(String)[0] ?? ''
  const address = wanted === '' ? ips.allocate() : claim(service, wanted, ips)
  if (address === undefined) throw internalError(new Error('failed to allocate a serviceIP: range is full'))
  if (dryRun && address !== 'None') ips.release(address)
  spec['clusterIP'] = address
  spec['clusterIPs'] = [address]
}

function claim(service: KubeObject, wanted: string, ips: ClusterIps): string {
  if (wanted === 'None') return wanted
  const refuse = (detail: string) =>
    invalidObject({ group: '', kind: 'Service' }, service.metadata.name, [invalid('spec.clusterIPs', [wanted], detail)])
  if (!ips.contains(wanted)) {
    throw refuse(
      `failed to allocate IP ${wanted}: the provided IP (${wanted}) is not in the valid range. The range of valid IPs is ${ips.describe()}`,
    )
  }
  if (!ips.claim(wanted)) throw refuse(`failed to allocate IP ${wanted}: provided IP is already allocated`)
  return wanted
}

function release(service: KubeObject, ips: ClusterIps): void {
  const address = stringAt(service, 'spec', 'clusterIP')
  if (address && address !== 'None') ips.release(address)
}

function allocateNodePorts(service: KubeObject, taken: Set<number>): void {
  const type = stringAt(service, 'spec', 'type')
  if (type !== 'NodePort' && type !== 'LoadBalancer') return
  let next = NODE_PORTS.from
  for (const port of objectsAt(service, 'spec', 'ports')) {
    const wanted = numberAt(port, 'nodePort')
    if (wanted !== undefined) taken.add(wanted)
    else {
      while (taken.has(next)) next += 1
      taken.add(next)
      port['nodePort'] = next
    }
  }
}

/** An update that does not mention what was allocated keeps it. */
function keepAllocated(service: KubeObject, old: KubeObject): void {
  if (!needsAddress(service) || !needsAddress(old)) return
  const spec = ensureObject(service, 'spec')
  for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy']) {
    const value = valueAt(old, 'spec', field)
    if (value !== undefined) setDefault(spec, field, value)
  }
  const before = new Map(objectsAt(old, 'spec', 'ports').map((port) => [portKey(port), port['nodePort']]))
  if (stringAt(spec, 'type') === 'ClusterIP') {
    for (const port of objectsAt(spec, 'ports')) delete port['nodePort']
    return
  }
  for (const port of objectsAt(spec, 'ports')) {
    const nodePort = before.get(portKey(port))
    if (nodePort !== undefined) setDefault(port, 'nodePort', nodePort)
  }
}

function portKey(port: JsonObject): string {
  return `${textOf(port['protocol'])}/${textOf(port['port'])}`
}

function clusterIpIsImmutable(service: KubeObject, old: KubeObject): FieldError[] {
  const before = stringAt(old, 'spec', 'clusterIP')
  const after = stringAt(service, 'spec', 'clusterIP')
  if (before === after || !needsAddress(service) || !needsAddress(old)) return []
  return [invalid('spec.clusterIPs[0]', valueAt(service, 'spec', 'clusterIPs'), 'may not change once set')]
}

function validateService(service: KubeObject): FieldError[] {
  const spec = objectAt(service, 'spec') ?? {}
  const errors: FieldError[] = []
  const type = stringAt(spec, 'type') ?? ''
  const ports = objectsAt(spec, 'ports')
  const headless = spec['clusterIP'] === 'None'
  if (ports.length === 0 && !headless && type !== 'ExternalName') errors.push(required('spec.ports'))
  if (!TYPES.includes(type)) errors.push(notSupported('spec.type', type, TYPES))
  if (type === 'ExternalName' && !stringAt(spec, 'externalName')) errors.push(required('spec.externalName'))
  const seen = { names: new Set<string>(), keys: new Set<string>() }
  for (const [index, port] of ports.entries())
    errors.push(...validatePort(port, `spec.ports[${index}]`, { ...seen, needsName: ports.length > 1 }))
  const affinity = stringAt(spec, 'sessionAffinity') ?? ''
  if (affinity !== 'None' && affinity !== 'ClientIP')
    errors.push(notSupported('spec.sessionAffinity', affinity, ['ClientIP', 'None']))
  return errors
}

interface PortsSeen {
  readonly names: Set<string>
  readonly keys: Set<string>
  readonly needsName: boolean
}

function validatePort(port: JsonObject, path: string, seen: PortsSeen): FieldError[] {
  const errors: FieldError[] = []
  const name = stringAt(port, 'name') ?? ''
  if (!name && seen.needsName) errors.push(required(`${path}.name`))
  if (name && seen.names.has(name)) errors.push(duplicate(`${path}.name`, name))
  seen.names.add(name)
  const number = numberAt(port, 'port') ?? 0
  errors.push(...validateNumber(number, `${path}.port`), ...validateNumber(port['targetPort'], `${path}.targetPort`))
  const protocol = stringAt(port, 'protocol') ?? ''
  if (!['SCTP', 'TCP', 'UDP'].includes(protocol))
    errors.push(notSupported(`${path}.protocol`, protocol, ['SCTP', 'TCP', 'UDP']))
  const key = portKey(port)
  if (seen.keys.has(key)) errors.push(duplicate(path, { port: number, protocol }))
  seen.keys.add(key)
  return errors
}

/** Of a port; names of ports are no matter of range. */
function validateNumber(port: Json | undefined, path: string): FieldError[] {
  if (typeof port !== 'number' || (port >= 1 && port <= MAX_PORT)) return []
  return [invalid(path, port, 'must be between 1 and 65535, inclusive')]
}
