import type { Node } from './plan.ts'

/** All objects by uid, and who depends on whom. */
export class Graph {
  readonly #nodes = new Map<string, Node>()
  readonly #dependents = new Map<string, Set<string>>()

  get(uid: string): Node | undefined {
    return this.#nodes.get(uid)
  }

  dependentsOf(uid: string): Node[] {
    const uids = this.#dependents.get(uid) ?? new Set<string>()
    return [...uids].map((one) => this.#nodes.get(one)).filter((node) => node !== undefined)
  }

  put(node: Node): void {
    this.#unlink(node.uid)
    this.#nodes.set(node.uid, node)
    for (const { uid } of node.owners) {
      const dependents = this.#dependents.get(uid) ?? new Set()
      this.#dependents.set(uid, dependents.add(node.uid))
    }
  }

  remove(uid: string): void {
    this.#unlink(uid)
    this.#nodes.delete(uid)
  }

  #unlink(uid: string): void {
    for (const owner of this.#nodes.get(uid)?.owners ?? []) {
      const dependents = this.#dependents.get(owner.uid)
      dependents?.delete(uid)
      if (dependents?.size === 0) this.#dependents.delete(owner.uid)
    }
  }
}
