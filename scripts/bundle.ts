/**
 * `node scripts/bundle.ts server|operator --out=DIR [--arch=amd64|arm64]`: everything that an image holds under /app.
 *
 * Each program becomes one file, so that it starts fast and carries only the code it reaches. ONNX Runtime is native code
 * and cannot be bundled: the server gets its binaries for Linux on one architecture. The notices of all that was bundled
 * go along. Runs on any platform for any architecture.
 */
import { cpSync, existsSync, globSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { build, type Plugin } from 'esbuild'

const ROOT = join(import.meta.dirname, '..')

/** The names of container platforms, and what Node calls them. */
const ARCHITECTURES: Readonly<Record<string, string>> = { amd64: 'x64', arm64: 'arm64' }

interface Program {
  /** Each file in the image, and the source that it is made of. */
  readonly files: Readonly<Record<string, string>>
  readonly usesOnnxRuntime: boolean
}

const PROGRAMS: Readonly<Record<string, Program>> = {
  operator: { files: { main: 'operator/main.ts' }, usesOnnxRuntime: false },
  server: {
    files: { main: 'server-image/main.ts', 'model-thread': 'server-image/serve/engine/thread-main.ts' },
    usesOnnxRuntime: true,
  },
}

/** Packages that are copied as they are, with what is needed of them at run time. */
const COPIED: Readonly<Record<string, (arch: string) => readonly string[]>> = {
  'onnxruntime-node': (arch) => ['package.json', 'dist/binding.js', `bin/napi-v*/linux/${arch}/*`],
  'onnxruntime-common': () => ['package.json', 'dist/cjs/**/*.js', 'dist/cjs/package.json'],
}

/** CommonJS packages ask for Node's own modules by `require`, which an ES module does not have. */
const REQUIRE = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"

/**
 * The first `import` of `node:http` reads all that it exports, and some of that loads Node's whole client of `fetch` and WebSockets: a sixth of
 * the work of the server's start, and 4 MB. `require` reads nothing.
 */
const HTTP_BY_REQUIRE: Plugin = {
  name: 'http-by-require',
  setup(bundler) {
    // What is imported when it is needed stays as it is: a chunk of `require` has no exports of names.
    bundler.onResolve({ filter: /^(node:)?http$/ }, ({ kind }) =>
      kind === 'import-statement' ? { path: 'node:http', namespace: 'by-require' } : undefined,
    )
    bundler.onLoad({ filter: /^node:http$/, namespace: 'by-require' }, () => ({
      contents: "module.exports = require('node:http')",
    }))
  },
}

/** @returns the packages that are in the bundle */
async function bundle(name: string, program: Program, out: string): Promise<string[]> {
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: { ...program.files },
    outdir: join(out, 'dist', name),
    outExtension: { '.js': '.mjs' },
    bundle: true,
    // What is imported when it is needed is a file of its own.
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    banner: { js: REQUIRE },
    external: Object.keys(COPIED).flatMap((each) => [each, `${each}/*`]),
    // Stack traces keep the names of the sources; white space costs little once compressed.
    minify: false,
    keepNames: true,
    legalComments: 'none',
    metafile: true,
    plugins: [HTTP_BY_REQUIRE],
    logLevel: 'warning',
  })
  const packages = Object.keys(metafile.inputs).map((file) => /^.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[0])
  return [...new Set(packages.filter((each) => each !== undefined))].sort()
}

/** @throws Error when the package has no files for the architecture */
function copyPackage(name: string, arch: string, out: string): string {
  const from = join(ROOT, 'node_modules', name)
  for (const pattern of COPIED[name]?.(arch) ?? []) {
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
      const { name, version, license } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Package
      const texts = readdirSync(directory).filter((file) =>
        /^(licen[cs]e|notice|copying|thirdpartynotices)/i.test(file),
      )
      const text = texts.map((file) => readFileSync(join(directory, file), 'utf8').trim())
      return [`${name} ${version} (${license ?? 'see below'})`, ...text].join('\n\n')
    })
    .join(`\n\n${'-'.repeat(80)}\n\n`)
}

interface Package {
  readonly name: string
  readonly version: string
  readonly license?: string
}

function writePackage(name: string, out: string): void {
  const { version, license } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Package
  const shown = { name: `penstock-${name}`, version, license, private: true, type: 'module' }
  writeFileSync(join(out, 'package.json'), `${JSON.stringify(shown, undefined, 2)}\n`)
}

async function run(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      out: { type: 'string' },
      arch: { type: 'string', default: process.arch === 'arm64' ? 'arm64' : 'amd64' },
    },
  })
  const name = positionals[0] ?? ''
  const program = PROGRAMS[name]
  const arch = ARCHITECTURES[values.arch]
  if (program === undefined) throw new Error(`Name the program: ${Object.keys(PROGRAMS).join(' or ')}.`)
  if (arch === undefined) throw new Error(`--arch: ${values.arch} is none of ${Object.keys(ARCHITECTURES).join(', ')}.`)
  if (values.out === undefined) throw new Error('--out: name a directory that does not exist yet.')
  if (existsSync(values.out)) throw new Error(`--out: ${values.out} exists already; name one that does not.`)
  mkdirSync(values.out, { recursive: true })
  const bundled = await bundle(name, program, values.out)
  const copied = program.usesOnnxRuntime
    ? Object.keys(COPIED).map((each) => copyPackage(each, arch, values.out ?? ''))
    : []
  writePackage(name, values.out)
  cpSync(join(ROOT, 'LICENSE'), join(values.out, 'LICENSE'))
  writeFileSync(join(values.out, 'third-party-licenses.txt'), `${notices([...bundled, ...copied])}\n`)
}

run().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
})
