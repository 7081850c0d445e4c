import type { ModelDeployment } from '../../api/resource.ts'
import type { RevisionName } from '../revision.ts'
import { RESOLVE_LABEL, commonLabels, ownedMetadata, type KubeObject } from './object.ts'
import { resolveTemplate } from './pod-template.ts'

const DEADLINE_SECONDS = 3600

export function resolveJobName(revision: RevisionName): string {
  return `${revision}-resolve`
}

/**
 * The Job that turns a URI into an immutable source, a digest and the model's contract. One try a Job: the operator decides about
 * more. `known` pins what the model was found to be before; spec's own pin comes first.
 */
export function resolveJob(
  owner: ModelDeployment,
  revision: RevisionName,
  defaultImage: string,
  known: { readonly sha256?: string; readonly dataSha256?: string } = {},
): KubeObject {
  const labels = { ...commonLabels(owner), [RESOLVE_LABEL]: revision }
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: ownedMetadata(owner, resolveJobName(revision), labels),
    spec: {
      backoffLimit: 0,
      activeDeadlineSeconds: DEADLINE_SECONDS,
      template: resolveTemplate({
        owner,
        image: owner.spec.server?.image ?? defaultImage,
        labels,
        sha256: owner.spec.model.sha256 ?? known.sha256,
        dataSha256: known.dataSha256,
      }),
    },
  }
}
