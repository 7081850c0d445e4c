import { mkdir, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Pod, Volume } from '../objects.ts'
import { ConfigError } from '../pod/config-source.ts'
import { writeAtomically } from './atomic-writer.ts'
import type { Directories } from './directories.ts'
import { hasPayload, payloadOf } from './payload.ts'
import type { PayloadContext } from './payload.ts'

/** Makes one volume ready, or brings its files up to date. @throws ConfigError with the reason of a FailedMount event. */
export async function setUpVolume(volume: Volume, directories: Directories, context: PayloadContext): Promise<void> {
  try {
    const path = volumePath(context.pod, volume, directories)
    if (hasPayload(volume)) await writeAtomically(path, await payloadOf(volume, context))
    else if (volume.hostPath === undefined) await mkdir(path, { recursive: true })
    else await checkHostPath(volume.hostPath)
  } catch (error) {
    throw new ConfigError(`MountVolume.SetUp failed for volume "${volume.name}" : ${(error as Error).message}`)
  }
}

/** Where a volume's files are on this machine. @throws ConfigError for a kind of volume that processes cannot have. */
export function volumePath(pod: Pod, volume: Volume, directories: Directories): string {
  const { hostPath, persistentVolumeClaim } = volume
  if (hostPath !== undefined) return hostPath.path
  if (persistentVolumeClaim !== undefined) {
    return directories.claim(pod.metadata.namespace, persistentVolumeClaim.claimName)
  }
  if (volume.emptyDir !== undefined || hasPayload(volume)) return directories.volume(pod.metadata.uid, volume.name)
  const kind = Object.keys(volume).find((key) => key !== 'name') ?? 'none'
  throw new ConfigError(
    `volume type ${kind} is not served to process pods: use emptyDir, configMap, secret, projected, downwardAPI, hostPath or persistentVolumeClaim`,
  )
}

async function checkHostPath({ path, type = '' }: NonNullable<Volume['hostPath']>): Promise<void> {
  if (type === 'DirectoryOrCreate') await mkdir(path, { recursive: true })
  if (type === 'FileOrCreate') {
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, '', { flag: 'a' })
  }
  if (type === '') return
  const found = await stat(path).catch(() => undefined)
  const fits = type.startsWith('File') ? found?.isFile() : type.startsWith('Directory') ? found?.isDirectory() : found
  if (!fits) throw new ConfigError(`hostPath type check failed: ${path} is not a ${type.toLowerCase()}`)
}
