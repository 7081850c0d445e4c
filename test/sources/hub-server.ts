/**
 * As much of the Hugging Face Hub as a download needs, since the Hub itself is out of reach of tests: the API's revision, and resolve URLs
 * that redirect large files to another host. Whether it is faithful is for Hugging Face's own client to say.
 */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export const COMMIT = '0123456789abcdef0123456789abcdef01234567'
export const TOKEN = 'hf_ATokenThatReadsEverything'
/** Accepted, but without the right to read. */
export const OTHER_TOKEN = 'hf_ATokenOfSomebodyElse'
const REVISIONS = ['main', 'v1.0', 'refs/pr/1', COMMIT]

/** By repository; large ones are stored elsewhere, as with LFS and Xet. */
export interface HubFiles {
  readonly small: Readonly<Record<string, Buffer>>
  readonly large: Readonly<Record<string, Buffer>>
}

export interface Seen {
  readonly host: 'hub' | 'cdn'
  readonly url: string
  readonly authorization: string | undefined
}

export interface Hub {
  readonly url: string
  readonly seen: readonly Seen[]
  readonly forget: () => void
  readonly stop: () => Promise<void>
}

/** Repositories: org/open, org/gated (wants a token with the right), org/private. All hold the same files. */
export async function startHub(files: HubFiles): Promise<Hub> {
  const seen: Seen[] = []
  const note = (host: Seen['host'], { url = '', headers }: IncomingMessage) =>
    seen.push({ host, url, authorization: headers.authorization })
  const cdn = await listening('127.0.0.2', (request, response) => {
    note('cdn', request)
    const file = Object.values(files.large).find((bytes) => request.url === `/${sha256(bytes)}?signature=good`)
    if (file === undefined) response.writeHead(403).end()
    else send(response, request, { file, headers: { etag: `"${sha256(file).slice(0, 32)}"` } })
  })
  const hub = await listening('127.0.0.1', (request, response) => {
    note('hub', request)
    answer(request, response, { files, cdn: cdn.url })
  })
  return {
    url: hub.url,
    seen,
    forget: () => void seen.splice(0),
    stop: async () => {
      await Promise.all([hub.stop(), cdn.stop()])
    },
  }
}

interface Stored {
  readonly files: HubFiles
  readonly cdn: string
}

function answer(request: IncomingMessage, response: ServerResponse, stored: Stored): void {
  const path = new URL(request.url ?? '', 'http://hub').pathname
  const [, apiRepo, apiRevision] = /^\/api\/models\/([^/]+\/[^/]+)\/revision\/(.+)$/.exec(path) ?? []
  const [, repo = apiRepo ?? '', revision = apiRevision ?? '', name] =
    /^\/([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(path) ?? []
  const refusal = refusalOf(repo, request.headers.authorization)
  if (refusal !== undefined) return refuse(response, ...refusal)
  if (!REVISIONS.includes(decodeURIComponent(revision))) return refuse(response, 404, 'RevisionNotFound')
  if (name === undefined) return sendRevision(response, repo, stored)
  sendFile(request, response, { name: decodeURIComponent(name), stored })
}

function refusalOf(repo: string, authorization: string | undefined): [number, string] | undefined {
  const isKnown = [undefined, `Bearer ${TOKEN}`, `Bearer ${OTHER_TOKEN}`].includes(authorization)
  if (!isKnown) return [401, '']
  const mayRead = authorization === `Bearer ${TOKEN}`
  if (repo === 'org/open' || (mayRead && ['org/gated', 'org/private'].includes(repo))) return undefined
  if (repo === 'org/gated') return [authorization === undefined ? 401 : 403, 'GatedRepo']
  return [authorization === undefined ? 401 : 404, 'RepoNotFound']
}

function refuse(response: ServerResponse, status: number, code: string): void {
  const headers = code === '' ? {} : { 'x-error-code': code }
  const message = code === '' ? 'Invalid credentials in Authorization header' : code
  response.writeHead(status, { ...headers, 'x-error-message': message }).end(JSON.stringify({ error: message }))
}

function sendRevision(response: ServerResponse, repo: string, { files }: Stored): void {
  const large = Object.entries(files.large).map(([rfilename, bytes]) => ({
    rfilename,
    size: bytes.length,
    blobId: sha1(bytes),
    lfs: { sha256: sha256(bytes), size: bytes.length, pointerSize: 134 },
  }))
  const small = Object.entries(files.small).map(([rfilename, bytes]) => ({
    rfilename,
    size: bytes.length,
    blobId: sha1(bytes),
  }))
  const body = {
    _id: '0',
    id: repo,
    modelId: repo,
    sha: COMMIT,
    private: false,
    tags: [],
    siblings: [...small, ...large],
  }
  response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(body))
}

function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  { name, stored: { files, cdn } }: { readonly name: string; readonly stored: Stored },
): void {
  const commit = { 'x-repo-commit': COMMIT }
  const [large, small] = [files.large[name], files.small[name]]
  if (large !== undefined) {
    const hash = sha256(large)
    const linked = { 'x-linked-etag': `"${hash}"`, 'x-linked-size': String(large.length) }
    const location = `${cdn}/${hash}?signature=good`
    response.writeHead(302, { ...commit, ...linked, location }).end(`Found. Redirecting to ${location}`)
  } else if (small !== undefined) {
    send(response, request, { file: small, headers: { ...commit, etag: `"${sha1(small)}"` } })
  } else refuse(response, 404, 'EntryNotFound')
}

function send(
  response: ServerResponse,
  { method }: IncomingMessage,
  { file, headers }: { readonly file: Buffer; readonly headers: Readonly<Record<string, string>> },
): void {
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': file.length, ...headers })
  response.end(method === 'HEAD' ? undefined : file)
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function sha1(bytes: Buffer): string {
  return createHash('sha1').update(bytes).digest('hex')
}

async function listening(
  host: string,
  handler: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<{ readonly url: string; readonly stop: () => Promise<void> }> {
  const server: Server = createServer(handler)
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return { url: `http://${host}:${(server.address() as AddressInfo).port}`, stop }
}
