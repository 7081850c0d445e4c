import type { KubeObject } from '../json.ts'

/** Everybody who has the token may do everything: the sandbox stores RBAC objects and does not enforce them. */
export function allowAccess(review: KubeObject): KubeObject {
  return { ...review, status: { allowed: true, reason: 'the sandbox allows everything' } }
}

/** SelfSubjectReview: who is asking. */
export function describeUser(review: KubeObject, user: string): KubeObject {
  return { ...review, status: { userInfo: { username: user, groups: ['system:masters', 'system:authenticated'] } } }
}

export function listRules(review: KubeObject): KubeObject {
  const everything = { verbs: ['*'], apiGroups: ['*'], resources: ['*'] }
  const paths = { verbs: ['*'], nonResourceURLs: ['*'] }
  return { ...review, status: { resourceRules: [everything], nonResourceRules: [paths], incomplete: false } }
}
