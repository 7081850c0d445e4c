/** `pvc://claim/path`: a file of the PersistentVolumeClaim that the operator mounted for this model. */
import { join } from 'node:path'
import { FetchError } from '../fetch-error.ts'
import type { FileLocation, LocateContext } from '../location.ts'
import { locatePlainPath } from './file.ts'
import { plainSegments } from './object-path.ts'

/** Set by whoever mounts the claim: its folder in this container. */
const MOUNT_VARIABLE = 'PENSTOCK_PVC_DIR'

export function locatePvc(uri: string, { env }: LocateContext): FileLocation {
  const [, claim, path] = /^pvc:\/\/([a-z0-9][a-z0-9.-]*)\/(.+)$/i.exec(uri) ?? []
  if (claim === undefined || path === undefined) {
    throw new FetchError('InvalidArgument', `"${uri}" names no file; write pvc://claim/path/to/model.onnx.`)
  }
  const mount = env[MOUNT_VARIABLE]
  if (mount === undefined || mount === '') {
    throw new FetchError(
      'UnsupportedSource',
      `Claim "${claim}" is not mounted in this container (${MOUNT_VARIABLE} is not set); mount it by podTemplate and use file:///path instead.`,
    )
  }
  return { ...locatePlainPath(join(mount, ...plainSegments(path, uri))), uri }
}
