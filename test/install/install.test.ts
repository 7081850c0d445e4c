import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { load } from 'js-yaml'
import { manifestsIn, type Manifest, type Rule } from '../chart/helm.ts'

const root = join(import.meta.dirname, '../..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const objects = manifestsIn(read('config/install.yaml'))
const named = (kind: string, name: string) =>
  objects.find((each) => each.kind === kind && each.metadata.name === name) as Manifest
const rules = (kind: string, name: string): readonly Rule[] => named(kind, name).rules ?? []
const operatorRules = [...rules('ClusterRole', 'penstock-system:penstock'), ...rules('Role', 'penstock')]

describe('the install manifest', () => {
  test('has the CustomResourceDefinition of this release', () => {
    const definition = load(read('crds/modeldeployments.yaml')) as { spec: unknown }
    expect(named('CustomResourceDefinition', 'modeldeployments.penstock.dev').spec).toEqual(definition.spec)
  })

  test('is of this release', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string }
    expect(load(read('charts/penstock/Chart.yaml'))).toMatchObject({ version, appVersion: version })
    expect(JSON.stringify(named('Deployment', 'penstock').spec)).toContain(`penstock/operator:${version}`)
  })

  test('binds every role to the service account that the operator runs as', () => {
    expect(JSON.stringify(named('Deployment', 'penstock').spec)).toContain('"serviceAccountName":"penstock"')
    const subject = { kind: 'ServiceAccount', name: 'penstock', namespace: 'penstock-system' }
    for (const binding of objects.filter((each) => each.kind.endsWith('RoleBinding')))
      expect(binding).toMatchObject({ subjects: [subject] })
  })
})

describe('the operator', () => {
  test('may touch no Secret, no node, no role, and nothing by a wildcard', () => {
    const resources = operatorRules.flatMap((rule) => rule.resources)
    for (const resource of ['secrets', 'nodes', 'roles', 'clusterroles', 'serviceaccounts', 'pods/exec', '*'])
      expect(resources).not.toContain(resource)
    expect(operatorRules.flatMap((rule) => [...rule.verbs, ...rule.apiGroups])).not.toContain('*')
  })

  test('neither makes nor changes ModelDeployments, nor makes or deletes pods', () => {
    const verbsOn = (resource: string) =>
      operatorRules.filter((rule) => rule.resources.includes(resource)).flatMap((rule) => rule.verbs)
    expect(verbsOn('modeldeployments').sort()).toEqual(['get', 'list', 'watch'])
    expect(verbsOn('pods').sort()).toEqual(['list', 'patch', 'watch'])
  })

  test('runs as Pod Security `restricted` demands', () => {
    const { template } = named('Deployment', 'penstock').spec as { template: { spec: Record<string, unknown> } }
    expect(template.spec).toMatchObject({
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      containers: [
        {
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          },
        },
      ],
    })
  })
})
