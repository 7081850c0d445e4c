import { expect, test } from '@jest/globals'
import { collectionPath, keyOf, nameOf, nameOfKey, objectPath, type Resource } from './resource.ts'
import { DEPLOYMENT, HTTP_ROUTE, NODE, POD, resource } from './resources.ts'

test.each<[Resource, string]>([
  [POD, '/api/v1/namespaces/ns/pods/x'],
  [NODE, '/api/v1/nodes/x'],
  [DEPLOYMENT, '/apis/apps/v1/namespaces/ns/deployments/x'],
  [HTTP_ROUTE, '/apis/gateway.networking.k8s.io/v1/namespaces/ns/httproutes/x'],
  [resource('example.dev/v1alpha1', 'Widget', 'widgets', 'Cluster'), '/apis/example.dev/v1alpha1/widgets/x'],
])('the path of $kind', (kind, path) => {
  expect(objectPath(kind, { namespace: 'ns', name: 'x' })).toBe(path)
  expect(objectPath(kind, { namespace: 'ns', name: 'x' }, 'status')).toBe(`${path}/status`)
})

test('a collection without a namespace is that of all namespaces', () => {
  expect(collectionPath(POD)).toBe('/api/v1/pods')
  expect(collectionPath(POD, 'ns')).toBe('/api/v1/namespaces/ns/pods')
})

test.each([{ namespace: 'ns', name: 'x' }, { name: 'x' }])('a key and its name: %j', (name) => {
  expect(nameOfKey(keyOf(name))).toEqual(name)
})

test('an object without a name is refused', () => {
  expect(() => nameOf({ kind: 'Pod', metadata: {} })).toThrow('Pod has no metadata.name')
})
