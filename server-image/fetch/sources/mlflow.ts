/**
 * `models:/name/3`, `models:/name@alias`, `models:/name/latest`: the model registry of the MLflow server at `MLFLOW_TRACKING_URI`.
 * `models:/m-ID` is a logged model, as MLflow 3 names what a run logged. The artifacts come through the server where it proxies them,
 * else from the bucket that it names.
 */
import { load as loadYaml } from 'js-yaml'
import type { Authorize } from '../authorize.ts'
import { readJson, readTextAt } from '../document.ts'
import { FetchError } from '../fetch-error.ts'
import type { Explain, HttpLocation, LocateContext, Location } from '../location.ts'
import { webUrl } from './http.ts'
import { encodedPath, fromSecret, pathBeside, pickOnnx } from './object-path.ts'
import { locateS3 } from './s3.ts'

/** One registry, and how to ask it. */
interface Registry {
  readonly base: URL
  readonly authorize: Authorize | undefined
  readonly context: LocateContext
}

interface Version {
  readonly name: string
  readonly number: string
}

/** What the server names a model that a run logged; of a registered one, a version or alias is named with it. */
const LOGGED_MODEL = /^models:\/{1,3}(m-[0-9a-f]{32})$/i

export async function locateMlflow(uri: string, context: LocateContext): Promise<Location> {
  const registry = registryOf(context)
  const logged = LOGGED_MODEL.exec(uri)?.[1]
  if (logged !== undefined) {
    const pinned = `models:/${logged}`
    return { ...(await modelIn(registry, await folderOfLogged(registry, logged), pinned)), uri: pinned }
  }
  const [, name, selector, selected] = /^models:\/{1,3}([^/@]+)([/@])([^/]+)$/i.exec(uri) ?? []
  if (name === undefined || selected === undefined) {
    throw new FetchError(
      'InvalidArgument',
      `"${uri}" names no model version; write models:/name/3 or models:/name@alias.`,
    )
  }
  const version = await versionOf(registry, name, selector === '@' ? { alias: selected } : { version: selected })
  const pinned = `models:/${name}/${version.number}`
  return { ...(await modelIn(registry, await folderOf(registry, version), pinned)), uri: pinned }
}

/** Where the version's artifacts are. */
async function folderOf(registry: Registry, { name, number }: Version): Promise<string> {
  const query = { name, version: number }
  const { artifact_uri: source } = await ask(registry, 'model-versions/get-download-uri', query)
  const [, run, path] = /^runs:\/{1,3}([^/]+)\/(.+)$/.exec(String(source)) ?? []
  if (run === undefined) return artifactUri(source, `models:/${name}/${number}`)
  // Registered by the path of a run, which only the run knows the place of.
  const answer = await ask(registry, 'runs/get', { run_id: run })
  const { info } = (answer['run'] ?? {}) as { info?: { artifact_uri?: unknown } }
  return `${artifactUri(info?.artifact_uri, `run ${run}`).replace(/\/$/, '')}/${path}`
}

async function folderOfLogged(registry: Registry, id: string): Promise<string> {
  const { model } = await ask(registry, `logged-models/${id}`, {})
  return artifactUri((model as { info?: { artifact_uri?: unknown } } | undefined)?.info?.artifact_uri, `models:/${id}`)
}

function artifactUri(value: unknown, of: string): string {
  if (typeof value === 'string' && value !== '') return value
  throw new FetchError('NotFound', `MLflow knows no artifacts of ${of}; register the version again.`)
}

function registryOf(context: LocateContext): Registry {
  const { env } = context
  const address = env['MLFLOW_REGISTRY_URI'] || env['MLFLOW_TRACKING_URI']
  if (address === undefined || address === '') {
    throw new FetchError(
      'InvalidArgument',
      `MLFLOW_TRACKING_URI is not set, so there is no MLflow to ask; ${fromSecret('it')}.`,
    )
  }
  const base = webUrl(address, 'MLFLOW_TRACKING_URI')
  base.pathname = base.pathname.replace(/\/$/, '')
  const { MLFLOW_TRACKING_TOKEN: token, MLFLOW_TRACKING_USERNAME: user, MLFLOW_TRACKING_PASSWORD: password = '' } = env
  const credentials = user
    ? `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
    : token && `Bearer ${token}`
  return { base, authorize: credentials ? () => ({ authorization: credentials }) : undefined, context }
}

/** What an alias or "latest" points to now. */
async function versionOf(
  registry: Registry,
  name: string,
  wanted: { alias?: string; version?: string },
): Promise<Version> {
  if (wanted.alias !== undefined) {
    const found = await ask(registry, 'registered-models/alias', { name, alias: wanted.alias })
    return { name, number: numberIn(found['model_version'], name) }
  }
  if (wanted.version !== undefined && /^\d+$/.test(wanted.version)) {
    await readyVersion(registry, { name, number: wanted.version })
    return { name, number: wanted.version }
  }
  if (wanted.version?.toLowerCase() !== 'latest') {
    throw new FetchError(
      'InvalidArgument',
      `models:/${name}/${wanted.version} is a stage, which MLflow has given up; use an alias: models:/${name}@champion.`,
    )
  }
  const filter = `name='${name.replaceAll("'", "''")}'`
  const found = await ask(registry, 'model-versions/search', {
    filter,
    max_results: '1',
    order_by: 'version_number DESC',
  })
  const [newest] = (found['model_versions'] as unknown[] | undefined) ?? []
  return { name, number: numberIn(newest, name) }
}

function numberIn(version: unknown, name: string): string {
  const number = (version as { version?: unknown } | undefined)?.version
  if (typeof number === 'string' || typeof number === 'number') return String(number)
  throw new FetchError('NotFound', `MLflow has no version of model "${name}"; register one.`)
}

async function readyVersion(registry: Registry, { name, number }: Version): Promise<void> {
  const { model_version: found } = await ask(registry, 'model-versions/get', { name, version: number })
  const status = (found as { status?: string } | undefined)?.status
  if (status === undefined || status === 'READY') return
  throw new FetchError(
    'NotFound',
    `models:/${name}/${number} is not ready in MLflow (${status}); register the version again.`,
  )
}

async function ask(
  registry: Registry,
  method: string,
  query: Record<string, string>,
): Promise<Record<string, unknown>> {
  const url = new URL(registry.base)
  url.pathname = `${url.pathname.replace(/\/$/, '')}/api/2.0/mlflow/${method}`
  url.search = new URLSearchParams(query).toString()
  const { authorize, context } = registry
  const explain = explainMlflow(subjectOf(method, query), registry)
  return (await readJson(context, { url, authorize, explain })) as Record<string, unknown>
}

/** As messages name it. */
function subjectOf(method: string, { name, version, alias, run_id: run }: Record<string, string>): string {
  if (run !== undefined) return `run "${run}"`
  if (name === undefined) return `logged model "${method.replace(/^.*\//, '')}"`
  if (alias !== undefined) return `alias "${alias}" of model "${name}"`
  return `${version === undefined ? '' : `version ${version} of `}model "${name}"`
}

function explainMlflow(what: string, { base, authorize }: Pick<Registry, 'base' | 'authorize'>): Explain {
  return ({ status, body }) => {
    const code = /"error_code":\s*"(\w{1,60})"/.exec(body)?.[1]
    if (
      code === 'RESOURCE_DOES_NOT_EXIST' ||
      (code === 'INVALID_PARAMETER_VALUE' && /not found/.test(body)) ||
      status === 404
    ) {
      return new FetchError(
        'NotFound',
        `MLflow at ${base.host} does not know ${what}; check the name, the version or alias, and MLFLOW_TRACKING_URI.`,
      )
    }
    if (status !== 401 && status !== 403) return undefined
    return authorize === undefined
      ? new FetchError(
          'Forbidden',
          `MLflow at ${base.host} wants credentials; ${fromSecret('MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN')}.`,
        )
      : new FetchError(
          'Forbidden',
          `MLflow at ${base.host} does not let these credentials read ${what}; grant READ on it, or check them.`,
        )
  }
}

/** The .onnx file inside a model's folder: the one that its MLmodel names, or the only one. A folder may also be registered as the file. */
async function modelIn(registry: Registry, artifacts: string, pinned: string): Promise<Location> {
  const folder = artifacts.replace(/\/$/, '')
  const isFile = /\.onnx$/i.test(folder)
  const proxied = /^mlflow-artifacts:(?:\/\/[^/]*)?\/*(.*)$/.exec(folder)?.[1]
  if (proxied !== undefined) {
    return proxiedFile(registry, isFile ? proxied : `${proxied}/${await proxiedName(registry, proxied, pinned)}`)
  }
  if (!/^(s3|gs|https?):/.test(folder)) {
    throw new FetchError(
      'UnsupportedSource',
      `${pinned} lies where only the MLflow server can read it (${folder.split(':', 1)[0]}:); start the server with --serve-artifacts, or keep artifacts in s3: or gs:.`,
    )
  }
  const { context } = registry
  if (isFile) return locateStored(folder, context)
  const mlmodel = await readTextAt(context, await locateStored(`${folder}/MLmodel`, context))
  return locateStored(`${folder}/${onnxNamedBy(mlmodel, pinned) ?? 'model.onnx'}`, context)
}

async function proxiedName(registry: Registry, folder: string, pinned: string): Promise<string> {
  const files = await listProxied(registry, folder)
  const named = files.includes('MLmodel')
    ? onnxNamedBy(await readTextAt(registry.context, proxiedFile(registry, `${folder}/MLmodel`)), pinned)
    : undefined
  return named ?? pickOnnx(files, undefined, pinned)
}

/** MLflow's own variable for S3's address goes before those of the AWS tools, as it does in MLflow. */
async function locateStored(uri: string, context: LocateContext): Promise<Location> {
  const endpoint = context.env['MLFLOW_S3_ENDPOINT_URL']
  if (!uri.startsWith('s3:') || endpoint === undefined || endpoint === '') return context.locate(uri)
  const env = { ...context.env, AWS_ENDPOINT_URL_S3: webUrl(endpoint, 'MLFLOW_S3_ENDPOINT_URL').href }
  return locateS3(uri, { ...context, env })
}

/** `flavors.onnx.data`; undefined when the model was not logged by mlflow.onnx. */
function onnxNamedBy(mlmodel: string, pinned: string): string | undefined {
  const { flavors } = parsed(mlmodel, pinned)
  const data = flavors?.onnx?.data
  return typeof data === 'string' ? data : undefined
}

interface MlModel {
  readonly flavors?: { readonly onnx?: { readonly data?: unknown } }
}

function parsed(mlmodel: string, pinned: string): MlModel {
  try {
    return loadYaml(mlmodel) ?? {}
  } catch {
    throw new FetchError('InvalidArgument', `The MLmodel file of ${pinned} is no YAML; log the model again.`)
  }
}

function proxiedFile(registry: Registry, path: string): HttpLocation {
  const { base, authorize } = registry
  const url = new URL(base)
  url.pathname = `${url.pathname.replace(/\/$/, '')}/api/2.0/mlflow-artifacts/artifacts/${encodedPath(path, path)}`
  return {
    kind: 'http',
    url,
    authorize,
    beside: (relative) => proxiedFile(registry, pathBeside(path, relative)),
    explain: explainMlflow(`the artifact "${path}"`, { base, authorize }),
  }
}

/** Names below the folder, which lists one level; an ONNX model keeps its file on the first or in `data/`. */
async function listProxied(registry: Registry, folder: string): Promise<string[]> {
  const levels = await Promise.all(['', 'data'].map((sub) => listOne(registry, folder, sub)))
  return levels.flat()
}

async function listOne(registry: Registry, folder: string, sub: string): Promise<string[]> {
  const url = new URL(registry.base)
  url.pathname = `${url.pathname.replace(/\/$/, '')}/api/2.0/mlflow-artifacts/artifacts`
  url.search = new URLSearchParams({ path: sub === '' ? folder : `${folder}/${sub}` }).toString()
  const { authorize, context } = registry
  const answer = await readJson(context, { url, authorize, explain: explainMlflow(`the folder "${folder}"`, registry) })
  const { files = [] } = answer as { files?: readonly { readonly path: string; readonly is_dir: boolean }[] }
  return files.filter((file) => !file.is_dir).map(({ path }) => (sub === '' ? path : `${sub}/${path}`))
}
