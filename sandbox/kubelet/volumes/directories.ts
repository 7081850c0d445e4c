import { join } from 'node:path'

/** Where a kubelet keeps what belongs to its pods, below one directory of its own. */
export class Directories {
  readonly root: string

  constructor(root: string) {
    this.root = root
  }

  get processes(): string {
    return join(this.root, 'processes')
  }

  get pods(): string {
    return join(this.root, 'pods')
  }

  pod(uid: string): string {
    return join(this.pods, uid)
  }

  home(uid: string): string {
    return join(this.pod(uid), 'home')
  }

  temporary(uid: string): string {
    return join(this.pod(uid), 'tmp')
  }

  volume(uid: string, name: string): string {
    return join(this.pod(uid), 'volumes', name)
  }

  container(uid: string, name: string): string {
    return join(this.pod(uid), 'containers', name)
  }

  /** A claim's files outlive its pods. */
  claim(namespace: string, name: string): string {
    return join(this.root, 'pvc', namespace, name)
  }
}
