// Installs the locked dependencies when node_modules is missing or older than the lockfile.
// Plain JavaScript on purpose: it runs on whatever Node >= 20 the machine has, before the pinned one is there.
import { createHash } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const stamp = join(root, 'node_modules', '.penstock-setup')
const wanted = createHash('sha256')
  .update(readFileSync(join(root, 'package-lock.json')))
  .digest('hex')

if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted) {
  const major = Number(process.versions.node.split('.')[0])
  if (major < 20) {
    console.error(
      `Penstock needs Node >= 20 to set itself up; this is ${process.version}. Install a newer Node and run the command again.`,
    )
    process.exit(1)
  }
  console.error('Installing the locked dependencies (once, about 20 s) ...')
  const done = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  })
  if (done.status !== 0) {
    console.error('`npm ci` failed; its own message is above. Nothing was started.')
    process.exit(done.status ?? 1)
  }
  writeFileSync(stamp, wanted)
}
