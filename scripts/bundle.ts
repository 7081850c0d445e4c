/**
 * `node scripts/bundle.ts server|operator --out=DIR [--arch=amd64|arm64]`: everything that an image holds under /app.
 *
 * Each program becomes few files, so that it starts fast and carries only the code it reaches. The server gets ONNX Runtime's
 * binaries for Linux on one architecture, and the notices of all that was bundled go along. Runs on any platform for any architecture.
 */
import { cpSync, existsSync, globSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { bundleProgram, PROGRAM_NAMES, PROGRAMS, readPackage, type NativePackage } from './program-bundle.ts'

const ROOT = join(import.meta.dirname, '..')

/** The names of container platforms, and what Node calls them. */
const ARCHITECTURES: Readonly<Record<string, string>> = { amd64: 'x64', arm64: 'arm64' }

/** Packages that are copied as they are, with what is needed of them at run time. */
const COPIED: Readonly<Record<NativePackage, (arch: string) => readonly string[]>> = {
  'onnxruntime-node': (arch) => ['package.json', 'dist/binding.js', `bin/napi-v*/linux/${arch}/*`],
  'onnxruntime-common': () => ['package.json', 'dist/cjs/**/*.js', 'dist/cjs/package.json'],
}

/** @throws Error when the package has no files for the architecture */
function copyPackage(name: NativePackage, arch: string, out: string): string {
  const from = join(ROOT, 'node_modules', name)
  for (const pattern of COPIED[name](arch)) {
    const files = globSync(pattern, { cwd: from })
    if (files.length === 0 && pattern.startsWith('bin/')) throw new Error(`${name} holds nothing like ${pattern}.`)
    for (const file of files) {
      const target = join(out, 'node_modules', name, file)
      mkdirSync(dirname(target), { recursive: true })
      cpSync(join(from, file), target)
    }
  }
  return relative(ROOT, from)
}

/** Name, version, licence and licence text of each package, as most licences ask of those who pass copies on. */
function notices(packages: readonly string[]): string {
  return packages
    .map((path) => {
      const directory = join(ROOT, path)
      const { name, version, license } = readPackage(directory)
      const texts = readdirSync(directory).filter((file) =>
        /^(licen[cs]e|notice|copying|thirdpartynotices)/i.test(file),
      )
      const text = texts.map((file) => readFileSync(join(directory, file), 'utf8').trim())
      return [`${name} ${version} (${license ?? 'see below'})`, ...text].join('\n\n')
    })
    .join(`\n\n${'-'.repeat(80)}\n\n`)
}

async function run(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      out: { type: 'string' },
      arch: { type: 'string', default: process.arch === 'arm64' ? 'arm64' : 'amd64' },
    },
  })
  const name = PROGRAM_NAMES.find((each) => each === positionals[0])
  const arch = ARCHITECTURES[values.arch]
  if (name === undefined) throw new Error(`Name the program: ${PROGRAM_NAMES.join(' or ')}.`)
  if (arch === undefined) throw new Error(`--arch: ${values.arch} is none of ${Object.keys(ARCHITECTURES).join(', ')}.`)
  if (values.out === undefined) throw new Error('--out: name a directory that does not exist yet.')
  if (existsSync(values.out)) throw new Error(`--out: ${values.out} exists already; name one that does not.`)
  mkdirSync(values.out, { recursive: true })
  const bundled = await bundleProgram(name, values.out)
  const copied = PROGRAMS[name].usesOnnxRuntime
    ? (Object.keys(COPIED) as NativePackage[]).map((each) => copyPackage(each, arch, values.out ?? ''))
    : []
  cpSync(join(ROOT, 'LICENSE'), join(values.out, 'LICENSE'))
  writeFileSync(join(values.out, 'third-party-licenses.txt'), `${notices([...bundled, ...copied])}\n`)
}

run().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
})
