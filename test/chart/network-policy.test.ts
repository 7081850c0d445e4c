import { describe, expect, test } from '@jest/globals'
import { of, rendered } from './rendered.ts'

describe('the network policy', () => {
  interface Policy {
    readonly ingress: readonly [{ readonly from?: readonly unknown[] }]
    readonly egress: readonly {
      readonly to?: readonly unknown[]
      readonly ports: readonly { readonly port: number }[]
    }[]
  }
  const policyWith = (...values: string[]) => {
    const objects = rendered('networkPolicy.enabled=true', ...values.map((value) => `networkPolicy.${value}`))
    return { objects, policy: of(objects, 'NetworkPolicy').spec as Policy }
  }
  const portsOf = ({ ports }: Policy['egress'][number]) => [...new Set(ports.map(({ port }) => port))]

  test('lets DNS be reached where it is, and not anywhere', () => {
    const [dns] = policyWith().policy.egress
    expect(portsOf(dns as Policy['egress'][number])).toEqual([53, 5353])
    const inNamespace = (name: string) =>
      expect.objectContaining({ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } } })
    expect(dns?.to).toEqual([inNamespace('kube-system'), inNamespace('openshift-dns'), expect.anything()])
    expect(policyWith('dns.to=null', 'dns.ports={5300}').policy.egress[0]).toEqual({
      ports: [
        { port: 5300, protocol: 'UDP' },
        { port: 5300, protocol: 'TCP' },
      ],
    })
  })

  test('lets the API server be reached at its addresses, where they are given', () => {
    const apiServer = (...values: string[]) => policyWith(...values).policy.egress[1]
    expect(apiServer()?.to).toBeUndefined()
    const cidrs = ['192.0.2.10/32', '2001:db8::a/128']
    expect(apiServer(`apiServerCIDRs={${cidrs.join()}}`)?.to).toEqual(cidrs.map((cidr) => ({ ipBlock: { cidr } })))
  })

  test('lets the pod of `helm test` in, whoever else may scrape', () => {
    expect(policyWith().policy.ingress[0].from).toBeUndefined()
    const scraper = { namespaceSelector: { matchLabels: { name: 'monitoring' } } }
    const { objects, policy } = policyWith('metricsFrom[0].namespaceSelector.matchLabels.name=monitoring')
    const { labels } = of(objects, 'Pod', 'pen-penstock-test').metadata
    expect(policy.ingress[0].from).toEqual([scraper, { podSelector: { matchLabels: labels } }])
  })
})
