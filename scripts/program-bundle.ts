/** How the sources of a program become the few files that its image runs. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, type Plugin } from 'esbuild'

const ROOT = join(import.meta.dirname, '..')

interface Program {
  /** Each file in the image, and the source that it is made of. */
  readonly files: Readonly<Record<string, string>>
  readonly usesOnnxRuntime: boolean
}

export const PROGRAMS = {
  operator: { files: { main: 'operator/main.ts' }, usesOnnxRuntime: false },
  server: {
    files: { main: 'server-image/main.ts', 'model-thread': 'server-image/serve/engine/thread-main.ts' },
    usesOnnxRuntime: true,
  },
} as const satisfies Readonly<Record<string, Program>>

type ProgramName = keyof typeof PROGRAMS
export const PROGRAM_NAMES = Object.keys(PROGRAMS) as ProgramName[]

/** ONNX Runtime is native code, and cannot be bundled. */
const NATIVE = ['onnxruntime-node', 'onnxruntime-common'] as const
export type NativePackage = (typeof NATIVE)[number]

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

/**
 * Express loads its readers of bodies and of nested query strings whether they are used or not (the server has its own of bodies, which hold to its
 * limits, and no other setting of `query parser` than `simple`), and prom-client what it needs for exemplars of default metrics, which are off.
 */
const LEFT_OUT: Plugin = {
  name: 'left-out',
  setup(bundler) {
    bundler.onResolve({ filter: /^(body-parser|qs|@opentelemetry\/api)$/ }, ({ path }) => ({
      path,
      namespace: 'left-out',
    }))
    bundler.onLoad({ filter: /.*/, namespace: 'left-out' }, () => ({ contents: 'module.exports = {}' }))
  },
}

/** Express looks the types of answers up among 2,500; these are those that it is asked for here. */
const MEDIA_TYPES = ['application/json', 'application/octet-stream', 'text/html', 'text/plain'] as const

const FEW_MEDIA_TYPES: Plugin = {
  name: 'few-media-types',
  setup(bundler) {
    bundler.onLoad({ filter: /mime-db\/db\.json$/ }, ({ path }) => {
      const all = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
      return {
        contents: JSON.stringify(Object.fromEntries(MEDIA_TYPES.map((type) => [type, all[type]]))),
        loader: 'json',
      }
    })
  },
}

/**
 * Writes a program to `dist/<name>` of a directory, and a package.json that tells its version.
 *
 * @returns the packages that are in it, as paths from the root
 */
export async function bundleProgram(name: ProgramName, directory: string): Promise<string[]> {
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: { ...PROGRAMS[name].files },
    outdir: join(directory, 'dist', name),
    outExtension: { '.js': '.mjs' },
    bundle: true,
    // What is imported when it is needed is a file of its own.
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    banner: { js: REQUIRE },
    external: NATIVE.flatMap((each) => [each, `${each}/*`]),
    // Stack traces keep the names of the sources, but for a number or an underscore at those that two things would have. `keepNames` would spare them
    // that too, at the cost of naming each function anew whenever a request makes it. White space costs little once compressed.
    minify: false,
    legalComments: 'none',
    metafile: true,
    plugins: [HTTP_BY_REQUIRE, LEFT_OUT, FEW_MEDIA_TYPES],
    logLevel: 'warning',
  })
  const { version, license } = readPackage(ROOT)
  const shown = { name: `penstock-${name}`, version, license, private: true, type: 'module' }
  writeFileSync(join(directory, 'package.json'), `${JSON.stringify(shown, undefined, 2)}\n`)
  const packages = Object.keys(metafile.inputs).map((file) => /^.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[0])
  return [...new Set(packages.filter((each) => each !== undefined))].sort()
}

interface Package {
  readonly name: string
  readonly version: string
  readonly license?: string
}

export function readPackage(directory: string): Package {
  return JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Package
}
