import type { Cluster } from '../cluster.ts'
import type { BuiltinTypes } from '../structure/builtin-types.ts'

export class CrdRegistrar {
  constructor(_cluster: Cluster, _structures: BuiltinTypes) {
    // later
  }

  close(): void {
    // later
  }
}
