import { describe, expect, test } from '@jest/globals'
import { of, rendered } from './rendered.ts'

interface PodSpec {
  readonly securityContext?: object
  readonly containers: readonly { readonly securityContext?: object }[]
}

interface Template {
  readonly template: { readonly metadata: { labels: object; annotations: object }; readonly spec: PodSpec }
}

/** Specs of the operators' pods and of that of `helm test`. */
function podsWith(...values: string[]): { operator: PodSpec; tester: PodSpec } {
  const objects = rendered(...values)
  return {
    operator: (of(objects, 'Deployment').spec as Template).template.spec,
    tester: of(objects, 'Pod', 'pen-penstock-test').spec as PodSpec,
  }
}

describe('operators and the pod of helm test', () => {
  test('run as Pod Security `restricted` demands', () => {
    for (const pod of Object.values(podsWith())) {
      expect(pod).toMatchObject({
        securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: 'RuntimeDefault' } },
        containers: [{ securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } }],
      })
    }
  })

  test('take the users that OpenShift gives out', () => {
    const ids = ['runAsUser', 'runAsGroup', 'fsGroup'].map((name) => `podSecurityContext.${name}=null`)
    for (const { securityContext } of Object.values(podsWith(...ids)))
      expect(securityContext).toEqual({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } })
    for (const pod of Object.values(podsWith('podSecurityContext=null', 'securityContext=null')))
      expect([pod.securityContext, pod.containers[0]?.securityContext]).toEqual([undefined, undefined])
  })

  test('go to the same nodes', () => {
    const values = ['nodeSelector.pool=system', 'tolerations[0].key=system', 'priorityClassName=high']
    for (const pod of Object.values(podsWith(...values))) {
      expect(pod).toMatchObject({
        nodeSelector: { pool: 'system' },
        tolerations: [{ key: 'system' }],
        priorityClassName: 'high',
      })
    }
  })
})

test('labels and annotations of a value stand beside the chart’s own, not in their place', () => {
  const theirs = ['team=ml', 'app\\.kubernetes\\.io/name=else'].map((label) => `podLabels.${label}`)
  const annotations = ['kubectl\\.kubernetes\\.io/default-container=else', 'note=x']
  const objects = rendered(...theirs, ...annotations.map((each) => `podAnnotations.${each}`))
  const { metadata } = (of(objects, 'Deployment').spec as Template).template
  expect(metadata.labels).toMatchObject({ team: 'ml', 'app.kubernetes.io/name': 'penstock' })
  expect(metadata.annotations).toEqual({ note: 'x', 'kubectl.kubernetes.io/default-container': 'operator' })
})
