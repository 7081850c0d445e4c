import { expect, test } from '@jest/globals'
import { ownershipConflict } from './ownership.ts'
import type { KubeObject, OwnerReference } from './resource.ts'

const owner = { kind: 'ModelDeployment', name: 'fraud', uid: 'mine' }

function owned(...references: Partial<OwnerReference>[]): KubeObject {
  const full = references.map((each) => ({ apiVersion: 'v1', kind: 'K', name: 'n', uid: 'u', ...each }))
  return { kind: 'Service', metadata: { name: 'fraud', ownerReferences: full } }
}

test.each<[string, KubeObject, string | undefined]>([
  ['ours', owned({ uid: 'mine', controller: true }), undefined],
  ["nobody's", { kind: 'Service', metadata: { name: 'fraud' } }, 'NoController'],
  ['ours, but we are not its controller', owned({ uid: 'mine' }), 'NoController'],
  ["another's", owned({ kind: 'Deployment', name: 'web', controller: true }), 'OtherController'],
  ['ours and controlled by another', owned({ uid: 'mine' }, { name: 'web', controller: true }), 'OtherController'],
  ["our predecessor's", owned({ kind: owner.kind, name: owner.name, uid: 'old', controller: true }), 'FormerOwner'],
])('an object that is %s', (_, live, reason) => {
  expect(ownershipConflict(live, owner)?.reason).toBe(reason)
})

test('the message names both and a remedy', () => {
  const conflict = ownershipConflict(owned({ kind: 'Deployment', name: 'web', controller: true }), owner)
  expect(conflict?.message).toBe('Service fraud belongs to Deployment web: rename one of them')
})
