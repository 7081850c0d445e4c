import { describe, expect, test } from '@jest/globals'
import { renderedAs } from './rendered.ts'
import type { Manifest } from './helm.ts'

const EVERYTHING = ['metrics.serviceMonitor.enabled=true', 'metrics.podMonitor.enabled=true', 'dashboard.enabled=true']
/** RFC 1035, as Services want it; nothing else here is stricter. */
const DNS_LABEL = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/

const namesOf = (objects: readonly Manifest[], kinds: RegExp) =>
  objects.filter(({ kind }) => kinds.test(kind)).map(({ metadata }) => metadata.name)

describe('names of objects', () => {
  const inNamespaces = /^(?!ClusterRole|CustomResourceDefinition)/

  test.each([
    ['a release of 53 characters', 'r'.repeat(53), []],
    ['one that is cut at a hyphen', 'r'.repeat(52), []],
    ['one with a dot', 'team.pen', []],
    ['one that begins with a digit', '2nd', []],
    ['one that begins with a digit and has the chart’s name in it', '2nd-penstock', []],
    ['a long name of its own', 'pen', [`fullnameOverride=${'f'.repeat(53)}`]],
    ['a long name of the chart', 'pen', [`nameOverride=${'n'.repeat(53)}`]],
  ])('are names of Services, too, for %s', (_title, release, values) => {
    for (const name of namesOf(renderedAs({ release }, ...EVERYTHING, ...values), inNamespaces))
      expect(name).toMatch(DNS_LABEL)
  })

  test('of two releases in the cluster do not meet', () => {
    const clusterWide = (namespace: string, fullname: string) =>
      namesOf(renderedAs({ release: 'r', namespace }, `fullnameOverride=${fullname}`), /^ClusterRole/)
    expect(clusterWide('aa-b', 'c')).not.toEqual(expect.arrayContaining(clusterWide('aa', 'b-c')))
    const long = 'n'.repeat(60)
    expect(clusterWide(long, 'one')).not.toEqual(expect.arrayContaining(clusterWide(long, 'two')))
  })
})

test.each(['nameOverride', 'fullnameOverride', 'serviceAccount.name'])('%s that is no name is refused', (value) => {
  for (const bad of ['Upper', 'ends-', 'under_score', '-begins', 'a b'])
    expect(() => renderedAs({ release: 'pen' }, `${value}=${bad}`)).toThrow(value.replace('.', '/'))
})
