/** A real MLflow server in a folder of its own, with models that MLflow's own client logged. */
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { modelPath } from '../../server-image/serve/testing.ts'
import { pythonOf, runScript } from './python-programs.ts'
import { startServerProcess } from './server-process.ts'

export interface MlflowOptions {
  readonly flags?: readonly string[]
  /** Of the server. */
  readonly env?: Readonly<Record<string, string>>
  /** Of the client that logs the models. */
  readonly clientEnv?: Readonly<Record<string, string>>
  /** Where the artifacts are; the server's own place without it. */
  readonly artifacts?: string
  /** The basic-auth app with this as its authorization function. */
  readonly authorization?: string
}

export interface Seeded {
  readonly modelId: string
  readonly runId: string
  /** Where version 1 is, by what the server says. */
  readonly source: string
}

export interface MlflowServer {
  readonly url: string
  readonly seeded: Seeded
  /** The .onnx file of a version, as MLflow's own client downloads it. */
  readonly downloaded: (version: number) => Promise<Buffer>
  readonly stop: () => Promise<void>
}

export const MODEL = modelPath('mlp20')
export const OTHER_MODEL = modelPath('forest20_no_zipmap')

export async function startMlflow(options: MlflowOptions = {}): Promise<MlflowServer> {
  const python = await pythonOf('mlflow')
  const folder = await mkdtemp(join(tmpdir(), 'penstock-mlflow-'))
  const server = await startServerProcess({
    command: (port) => [join(dirname(python), 'mlflow'), ...serverArgs(port, folder, options)],
    readyPath: '/health',
    cwd: folder,
    env: await serverEnv(python, folder, options),
  })
  const stop = async () => {
    await server.stop()
    await rm(folder, { recursive: true })
  }
  const downloads = join(folder, 'downloads')
  try {
    const seeded = await runScript<Seeded>(python, {
      name: 'seed_mlflow',
      args: [MODEL, OTHER_MODEL, downloads, options.artifacts ?? ''],
      env: { ...quietClient(server.url), ...options.clientEnv },
    })
    return { url: server.url, seeded, downloaded: (version) => onlyOnnx(join(downloads, String(version))), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** @param env has the administrator's name and password */
export async function addMlflowUser(url: string, user: readonly [string, string], env: Record<string, string>) {
  await runScript(await pythonOf('mlflow'), {
    name: 'mlflow_user',
    args: [url, ...user],
    env: { ...quietClient(url), ...env },
  })
}

function serverArgs(port: number, folder: string, { flags = [], authorization }: MlflowOptions): string[] {
  const app = authorization === undefined ? [] : ['--app-name', 'basic-auth']
  const place = [`--host=127.0.0.1`, `--port=${port}`, `--backend-store-uri=sqlite:///${join(folder, 'mlflow.db')}`]
  const proxy = flags.includes('--no-serve-artifacts') ? [] : [`--artifacts-destination=${join(folder, 'artifacts')}`]
  return ['server', ...app, ...place, '--workers=1', ...proxy, ...flags]
}

async function serverEnv(python: string, folder: string, { env = {}, authorization }: MlflowOptions) {
  // Its own programs are looked up by name.
  const path = [dirname(python), process.env['PATH']].join(delimiter)
  const base = {
    PATH: path,
    PYTHONPATH: join(import.meta.dirname, 'python'),
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION: 'false',
  }
  if (authorization === undefined) return { ...base, ...env }
  const config = join(folder, 'auth.ini')
  const users = `sqlite:///${join(folder, 'users.db')}`
  await writeFile(
    config,
    `[mlflow]
default_permission = NO_PERMISSIONS
database_uri = ${users}
admin_username = admin
authorization_function = ${authorization}
`,
  )
  return { ...base, MLFLOW_AUTH_CONFIG_PATH: config, MLFLOW_FLASK_SERVER_SECRET_KEY: 'for tests', ...env }
}

function quietClient(url: string): Record<string, string> {
  return {
    MLFLOW_TRACKING_URI: url,
    MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT: 'true',
    MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR: 'false',
  }
}

async function onlyOnnx(folder: string): Promise<Buffer> {
  const names = await readdir(folder)
  const models = names.filter((name) => name.endsWith('.onnx'))
  if (models.length === 1) return readFile(join(folder, String(models[0])))
  throw new Error(`${folder} holds ${names.join()}`)
}
