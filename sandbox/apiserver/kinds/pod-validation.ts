/** The checks of pods and pod templates that catch what people and operators get wrong (pkg/apis/core/validation). */
import { duplicate, invalid, notFoundValue, notSupported, required, type FieldError } from '../field-error.ts'
import { numberAt, objectAt, objectsAt, stringAt, valueAt, type JsonObject, textOf } from '../json.ts'
import { compareQuantities, parseQuantity } from '../quantity.ts'
import { validateLabels } from '../validation/metadata.ts'
import { labelName } from '../validation/names.ts'

const MAX_PORT = 65_535

/** `spec.template` of a workload; only the given restart policies make sense there. */
export function validatePodTemplate(spec: JsonObject, restartPolicies: readonly string[]): FieldError[] {
  const template = objectAt(spec, 'template') ?? {}
  const podSpec = objectAt(template, 'spec') ?? {}
  const errors = [
    ...validateLabels(template, 'spec.template.labels'),
    ...validatePodSpec(podSpec, 'spec.template.spec'),
  ]
  const policy = stringAt(podSpec, 'restartPolicy') ?? ''
  if (!restartPolicies.includes(policy)) {
    const jobs = restartPolicies.includes('Never')
    errors.push(
      jobs
        ? {
            ...required(
              'spec.template.spec.restartPolicy',
              `valid values: ${restartPolicies.map((each) => JSON.stringify(each)).join(', ')}`,
            ),
          }
        : notSupported('spec.template.spec.restartPolicy', policy, restartPolicies),
    )
    if (jobs && policy) errors.splice(-1, 1, notSupported('spec.template.spec.restartPolicy', policy, restartPolicies))
  }
  return errors
}

export function validatePodSpec(spec: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = []
  const containers = objectsAt(spec, 'containers')
  if (containers.length === 0) errors.push(required(`${path}.containers`))
  const volumes = new Set<string>()
  for (const [index, volume] of objectsAt(spec, 'volumes').entries()) {
    errors.push(...validateVolume(volume, `${path}.volumes[${index}]`, volumes))
  }
  const names = new Set<string>()
  for (const field of ['initContainers', 'containers']) {
    for (const [index, container] of objectsAt(spec, field).entries()) {
      errors.push(...validateContainer(container, `${path}.${field}[${index}]`, { names, volumes }))
    }
  }
  const restartPolicy = stringAt(spec, 'restartPolicy') ?? ''
  if (!['Always', 'OnFailure', 'Never'].includes(restartPolicy)) {
    errors.push(notSupported(`${path}.restartPolicy`, restartPolicy, ['Always', 'Never', 'OnFailure']))
  }
  const dnsPolicy = stringAt(spec, 'dnsPolicy') ?? ''
  const dnsPolicies = ['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None']
  if (!dnsPolicies.includes(dnsPolicy)) errors.push(notSupported(`${path}.dnsPolicy`, dnsPolicy, dnsPolicies))
  const grace = numberAt(spec, 'terminationGracePeriodSeconds') ?? 0
  if (grace < 0)
    errors.push(invalid(`${path}.terminationGracePeriodSeconds`, grace, 'must be greater than or equal to 0'))
  return errors
}

function validateVolume(volume: JsonObject, path: string, seen: Set<string>): FieldError[] {
  const name = stringAt(volume, 'name') ?? ''
  const errors: FieldError[] = []
  if (!name) errors.push(required(`${path}.name`))
  else if (seen.has(name)) errors.push(duplicate(`${path}.name`, name))
  else errors.push(...labelName(name, false).map((problem) => invalid(`${path}.name`, name, problem)))
  seen.add(name)
  if (Object.keys(volume).filter((field) => field !== 'name').length > 1) {
    errors.push({
      reason: 'FieldValueForbidden',
      field: path,
      message: 'Forbidden: may not specify more than 1 volume type',
    })
  }
  return errors
}

interface Seen {
  readonly names: Set<string>
  readonly volumes: ReadonlySet<string>
}

function validateContainer(container: JsonObject, path: string, seen: Seen): FieldError[] {
  const errors: FieldError[] = []
  const name = stringAt(container, 'name') ?? ''
  if (!name) errors.push(required(`${path}.name`))
  else if (seen.names.has(name)) errors.push(duplicate(`${path}.name`, name))
  else errors.push(...labelName(name, false).map((problem) => invalid(`${path}.name`, name, problem)))
  seen.names.add(name)
  const image = stringAt(container, 'image') ?? ''
  if (!image) errors.push(required(`${path}.image`))
  else if (image !== image.trim())
    errors.push(invalid(`${path}.image`, image, 'must not have leading or trailing whitespace'))
  const policy = stringAt(container, 'imagePullPolicy') ?? ''
  const policies = ['Always', 'IfNotPresent', 'Never']
  if (!policies.includes(policy)) errors.push(notSupported(`${path}.imagePullPolicy`, policy, policies))
  return [
    ...errors,
    ...validatePorts(container, path),
    ...validateEnv(container, path),
    ...validateMounts(container, path, seen.volumes),
    ...validateResources(container, path),
    ...validateProbes(container, path),
  ]
}

function validatePorts(container: JsonObject, path: string): FieldError[] {
  const names = new Set<string>()
  return objectsAt(container, 'ports').flatMap((port, index) => {
    const at = `${path}.ports[${index}]`
    const errors: FieldError[] = []
    const name = stringAt(port, 'name')
    if (name !== undefined) {
      if (names.has(name)) errors.push(duplicate(`${at}.name`, name))
      if (name.length > 15) errors.push(invalid(`${at}.name`, name, 'must be no more than 15 characters'))
      names.add(name)
    }
    const number = numberAt(port, 'containerPort')
    if (!number) errors.push(required(`${at}.containerPort`))
    else if (number < 1 || number > MAX_PORT)
      errors.push(invalid(`${at}.containerPort`, number, 'must be between 1 and 65535, inclusive'))
    const protocol = stringAt(port, 'protocol') ?? ''
    if (!['SCTP', 'TCP', 'UDP'].includes(protocol))
      errors.push(notSupported(`${at}.protocol`, protocol, ['SCTP', 'TCP', 'UDP']))
    return errors
  })
}

function validateEnv(container: JsonObject, path: string): FieldError[] {
  return objectsAt(container, 'env').flatMap((env, index) => {
    const at = `${path}.env[${index}]`
    if (!stringAt(env, 'name')) return [required(`${at}.name`)]
    if (env['value'] && env['valueFrom'])
      return [invalid(`${at}.valueFrom`, '', 'may not be specified when `value` is not empty')]
    return []
  })
}

function validateMounts(container: JsonObject, path: string, volumes: ReadonlySet<string>): FieldError[] {
  const paths = new Set<string>()
  return objectsAt(container, 'volumeMounts').flatMap((mount, index) => {
    const at = `${path}.volumeMounts[${index}]`
    const name = stringAt(mount, 'name') ?? ''
    const mountPath = stringAt(mount, 'mountPath') ?? ''
    const errors: FieldError[] = []
    if (!name) errors.push(required(`${at}.name`))
    else if (!volumes.has(name)) errors.push(notFoundValue(`${at}.name`, name))
    if (!mountPath) errors.push(required(`${at}.mountPath`))
    else if (paths.has(mountPath)) errors.push(invalid(`${at}.mountPath`, mountPath, 'must be unique'))
    paths.add(mountPath)
    return errors
  })
}

function validateResources(container: JsonObject, path: string): FieldError[] {
  const limits = objectAt(container, 'resources', 'limits') ?? {}
  return Object.entries(objectAt(container, 'resources', 'requests') ?? {}).flatMap(([name, amount]) => {
    const request = parseQuantity(textOf(amount))
    const limit = limits[name] === undefined ? undefined : parseQuantity(textOf(limits[name]))
    if (!request || !limit || compareQuantities(request, limit) <= 0) return []
    return [
      invalid(
        `${path}.resources.requests`,
        amount,
        `must be less than or equal to ${name} limit of ${textOf(limits[name])}`,
      ),
    ]
  })
}

const HANDLERS = ['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep']

function validateProbes(container: JsonObject, path: string): FieldError[] {
  return ['livenessProbe', 'readinessProbe', 'startupProbe'].flatMap((field) => {
    const probe = objectAt(container, field)
    if (!probe) return []
    const at = `${path}.${field}`
    const handlers = HANDLERS.filter((each) => probe[each] !== undefined)
    const errors: FieldError[] = []
    if (handlers.length === 0) errors.push(required(at, 'must specify a handler type'))
    for (const extra of handlers.slice(1)) {
      errors.push({
        reason: 'FieldValueForbidden',
        field: `${at}.${extra}`,
        message: 'Forbidden: may not specify more than 1 handler type',
      })
    }
    const threshold = numberAt(probe, 'successThreshold') ?? 1
    if (field !== 'readinessProbe' && threshold !== 1)
      errors.push(invalid(`${at}.successThreshold`, threshold, 'must be 1'))
    if (probe['httpGet'] !== undefined && !valueAt(probe, 'httpGet', 'port'))
      errors.push(required(`${at}.httpGet.port`))
    return errors
  })
}
