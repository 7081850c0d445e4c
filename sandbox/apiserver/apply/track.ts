import type { KubeObject } from '../json.ts'
import type { ResourceType } from '../kinds/resource-type.ts'

export interface TrackedUpdate {
  readonly type: ResourceType
  readonly live: KubeObject
  readonly object: KubeObject
  readonly manager: { readonly name: string; readonly subresource: string }
  readonly now: string
}

/** Records in managedFields what an update changed. */
export function trackUpdate({ object }: TrackedUpdate): KubeObject {
  return object
}
