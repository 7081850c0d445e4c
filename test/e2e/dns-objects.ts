/** CoreDNS is a process of the node, behind a Service without a selector: that saves an image and a pod. */
import { ADDRESSES } from './addresses.ts'

export const DNS_USER = 'coredns'
const LABELS = { 'kubernetes.io/service-name': 'kube-dns' }
const PORTS = [
  { name: 'dns', port: 53, protocol: 'UDP' },
  { name: 'dns-tcp', port: 53, protocol: 'TCP' },
]
const RBAC_API = 'rbac.authorization.k8s.io/v1'
const READ = ['list', 'watch']

export function dnsObjects(): object {
  return {
    apiVersion: 'v1',
    kind: 'List',
    items: [
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'kube-dns', namespace: 'kube-system' },
        spec: { clusterIP: ADDRESSES.dns, ports: PORTS },
      },
      {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name: 'kube-dns', namespace: 'kube-system', labels: LABELS },
        addressType: 'IPv4',
        ports: PORTS,
        endpoints: [{ addresses: [ADDRESSES.node], conditions: { ready: true } }],
      },
      {
        apiVersion: RBAC_API,
        kind: 'ClusterRole',
        metadata: { name: DNS_USER },
        rules: [
          { apiGroups: [''], resources: ['services', 'pods', 'namespaces'], verbs: READ },
          { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: READ },
        ],
      },
      {
        apiVersion: RBAC_API,
        kind: 'ClusterRoleBinding',
        metadata: { name: DNS_USER },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: DNS_USER },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: DNS_USER }],
      },
    ],
  }
}
