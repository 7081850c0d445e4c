import type { JsonObject, KubeObject } from '../json.ts'
import { stringAt } from '../json.ts'
import type { ResourceType } from '../kinds/resource-type.ts'

export interface TableOptions {
  readonly now: number
  readonly includeObject: 'None' | 'Metadata' | 'Object'
  readonly withColumns: boolean
}

/** A meta.k8s.io/v1 Table of objects, which is what `kubectl get` prints. */
export function tableOf(
  type: ResourceType,
  objects: readonly KubeObject[],
  metadata: JsonObject,
  options: TableOptions,
): JsonObject {
  const definitions = type.columns.map(({ name, type: cellType, format, description, priority }) => ({
    name,
    type: cellType,
    format,
    description,
    priority,
  }))
  const rows = objects.map((object): JsonObject => {
    const cells = type.columns.map((column) => column.cell(object, options.now))
    return { cells, ...rowObject(object, options.includeObject) }
  })
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata,
    ...(options.withColumns ? { columnDefinitions: definitions } : {}),
    rows,
  }
}

function rowObject(object: KubeObject, include: TableOptions['includeObject']): JsonObject {
  switch (include) {
    case 'None':
      return {}
    case 'Object':
      return { object }
    case 'Metadata':
      return { object: partialMetadata(object) }
  }
}

export function partialMetadata(object: KubeObject): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: object.metadata }
}

/** The metadata of a Table that shows one object. */
export function singleTableMetadata(object: KubeObject): JsonObject {
  return { resourceVersion: stringAt(object, 'metadata', 'resourceVersion') ?? '' }
}
