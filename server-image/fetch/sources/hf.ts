/**
 * `hf://org/repo[@revision][/path]`: the Hugging Face Hub, or what `HF_ENDPOINT` names. A branch or tag is resolved to its commit, and
 * the Hub says what digest a large file has.
 */
import type { Authorize } from '../authorize.ts'
import { readJson } from '../document.ts'
import { FetchError } from '../fetch-error.ts'
import type { Explain, HttpLocation, LocateContext } from '../location.ts'
import { percentDecoded } from '../percent.ts'
import { webUrl } from './http.ts'
import { encodedPath, fromSecret, pathBeside, pickOnnx } from './object-path.ts'

interface HubFile {
  readonly repo: string
  readonly revision: string
  readonly path: string | undefined
}

/** The part of the answer that is used: https://huggingface.co/docs/hub/api */
interface HubRevision {
  readonly sha?: unknown
  readonly siblings?: readonly { readonly rfilename: string; readonly lfs?: { readonly sha256?: string } }[]
}

export async function locateHf(uri: string, context: LocateContext): Promise<HttpLocation> {
  const { env } = context
  const wanted = parseHf(uri)
  const endpoint = webUrl(env['HF_ENDPOINT'] || 'https://huggingface.co', 'HF_ENDPOINT').href.replace(/\/$/, '')
  const token = (env['HF_TOKEN'] || env['HUGGING_FACE_HUB_TOKEN'])?.trim()
  const authorize: Authorize | undefined =
    token === undefined || token === '' ? undefined : () => ({ authorization: `Bearer ${token}` })
  const explain = explainHf(wanted, authorize === undefined)
  const fileAt = (commit: string, path: string): HttpLocation => ({
    kind: 'http',
    url: new URL(`${endpoint}/${wanted.repo}/resolve/${commit}/${encodedPath(path, uri)}`),
    authorize,
    explain,
    beside: (relative) => fileAt(commit, pathBeside(path, relative)),
    uri: `hf://${wanted.repo}@${commit}/${path}`,
  })
  // A commit needs no look-up: a pod that starts depends on the file alone.
  if (/^[0-9a-f]{40}$/.test(wanted.revision) && wanted.path !== undefined) return fileAt(wanted.revision, wanted.path)
  const revision = encodeURIComponent(wanted.revision)
  const url = new URL(`${endpoint}/api/models/${wanted.repo}/revision/${revision}?blobs=true`)
  const { sha, siblings = [] } = (await readJson(context, { url, authorize, explain })) as HubRevision
  if (typeof sha !== 'string' || !/^[0-9a-f]{40}$/.test(sha)) {
    throw new FetchError(
      'InvalidArgument',
      `${endpoint} did not say which commit "${wanted.revision}" is; check HF_ENDPOINT.`,
    )
  }
  const where = `hf://${wanted.repo}@${wanted.revision}`
  const path = pickOnnx(
    siblings.map(({ rfilename }) => rfilename),
    wanted.path,
    where,
  )
  const withDigest = (name: string): HttpLocation => ({
    ...fileAt(sha, name),
    digests: { sha256: siblings.find(({ rfilename }) => rfilename === name)?.lfs?.sha256 },
  })
  return { ...withDigest(path), beside: (relative) => withDigest(pathBeside(path, relative)) }
}

function parseHf(uri: string): HubFile {
  const [, repo, revision, path] = /^hf:\/\/([\w.-]+\/[\w.-]+)(?:@([^/]+))?(?:\/(.+))?$/i.exec(uri) ?? []
  if (repo === undefined) {
    throw new FetchError(
      'InvalidArgument',
      `"${uri}" names no repository; write hf://org/repo@revision/path/to/model.onnx (a "/" in the revision as %2F).`,
    )
  }
  return { repo, revision: revision === undefined ? 'main' : percentDecoded(revision), path }
}

/** The Hub names its reason in a header; without a token it says 401 for what does not exist, too. */
function explainHf({ repo, revision, path }: HubFile, isAnonymous: boolean): Explain {
  return ({ status, headers }) => {
    switch (headers['x-error-code']) {
      case 'RevisionNotFound':
        return new FetchError(
          'NotFound',
          `hf://${repo} has no revision "${revision}"; check the branch, tag or commit.`,
        )
      case 'EntryNotFound':
        return new FetchError('NotFound', `hf://${repo}@${revision} has no file "${path}"; check the path.`)
      case 'GatedRepo':
        return new FetchError(
          'Forbidden',
          `hf://${repo} is gated; accept its terms on the Hub with the account that HF_TOKEN belongs to${isAnonymous ? `, and ${fromSecret('HF_TOKEN')}` : ''}.`,
        )
      default:
    }
    if (status !== 401 && status !== 403 && status !== 404) return undefined
    const reason = status === 404 ? 'NotFound' : 'Forbidden'
    return isAnonymous
      ? new FetchError(
          reason,
          `hf://${repo} does not exist or is private; check its name, or ${fromSecret('HF_TOKEN')}.`,
        )
      : new FetchError(
          reason,
          `hf://${repo} does not exist, or HF_TOKEN may not read it; check its name and the token's permissions.`,
        )
  }
}
