import { apiVersionOf, type ResourceType } from './resource-type.ts'

/** The resources that are served at this moment: built-in ones, and those of CRDs, which come and go. */
export class ResourceCatalog {
  readonly #types = new Map<string, ResourceType>()

  add(type: ResourceType): void {
    this.#types.set(keyOf(type.group, type.version, type.plural), type)
  }

  remove(type: ResourceType): void {
    this.#types.delete(keyOf(type.group, type.version, type.plural))
  }

  find(group: string, version: string, plural: string): ResourceType | undefined {
    return this.#types.get(keyOf(group, version, plural))
  }

  findKind(apiVersion: string, kind: string): ResourceType | undefined {
    return this.all().find((type) => type.kind === kind && apiVersionOf(type) === apiVersion)
  }

  all(): ResourceType[] {
    return [...this.#types.values()]
  }
}

function keyOf(group: string, version: string, plural: string): string {
  return `${group}/${version}/${plural}`
}
