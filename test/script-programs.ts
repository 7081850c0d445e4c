/** Programs that stand for others in tests: scripts of sh. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Writes each script as a program of its name. @returns `folder`, which is made when it is not there */
export async function writePrograms(folder: string, scripts: Readonly<Record<string, string>>): Promise<string> {
  await mkdir(folder, { recursive: true })
  for (const [name, script] of Object.entries(scripts))
    await writeFile(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 })
  return folder
}
