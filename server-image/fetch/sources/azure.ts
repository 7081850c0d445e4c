/**
 * Azure Blob Storage: `https://ACCOUNT.blob.core.windows.net/container/blob`, as the portal shows it, or
 * `az://account/container/blob`. With a SAS, the account's key, an Entra identity (workload identity, client secret), or anonymously.
 * Where versioning is on, the answer names the version.
 */
import { FetchError } from '../fetch-error.ts'
import type { HttpLocation, LocateContext, Refusal } from '../location.ts'
import { azureAccess, type AzureAccess } from './azure-access.ts'
import { webUrl } from './http.ts'
import { encodedPath, fromSecret, urlBeside } from './object-path.ts'

const HOST = /^([a-z0-9]{3,24})\.blob\.(core\.windows\.net|core\.chinacloudapi\.cn|core\.usgovcloudapi\.net)$/

export async function locateAzure(uri: string, context: LocateContext): Promise<HttpLocation> {
  const [, account, container, path] = /^az(?:ure)?:\/\/([a-z0-9]{3,24})\/([$a-z0-9-]+)\/(.+)$/i.exec(uri) ?? []
  const [blob, versionId] = path?.split(/\?versionid=/i) ?? []
  if (account === undefined || container === undefined || blob === undefined || blob.endsWith('/')) {
    throw new FetchError('InvalidArgument', `"${uri}" names no blob; write az://account/container/path/to/model.onnx.`)
  }
  const access = await azureAccess(context, account)
  const url = webUrl(access.endpoint ?? `https://${account}.blob.core.windows.net`, 'AZURE_STORAGE_SERVICE_ENDPOINT')
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${container}/${encodedPath(blob, uri)}`
  if (versionId !== undefined) url.searchParams.set('versionid', versionId)
  return located(url, access, (version) => `az://${account}/${container}/${blob}?versionid=${version}`)
}

/** Undefined when the URL is no blob's, or brings its own signature: then it is fetched as any other. */
export function locateAzureUrl(uri: string, context: LocateContext): Promise<HttpLocation> | undefined {
  const url = URL.parse(uri)
  const account = HOST.exec(url?.hostname ?? '')?.[1]
  if (url === null || account === undefined || url.searchParams.has('sig') || url.username !== '') return undefined
  const pinned = (version: string) => {
    const exact = new URL(url)
    exact.searchParams.set('versionid', version)
    return exact.href
  }
  return azureAccess(context, account).then((access) => located(new URL(url), access, pinned))
}

function located(url: URL, access: AzureAccess, pinned?: (version: string) => string): HttpLocation {
  const where = `${url.origin}${url.pathname}`
  for (const [name, value] of access.sas ?? []) url.searchParams.set(name, value)
  return {
    kind: 'http',
    url,
    authorize: access.authorize,
    explain: (refusal) => explainAzure(refusal, where, access.kind),
    beside: (path) => {
      const next = urlBeside(url, path)
      // A version is of one blob alone.
      next.searchParams.delete('versionid')
      return located(next, access)
    },
    pin: ({ 'x-ms-version-id': version }) => (typeof version === 'string' ? pinned?.(version) : undefined),
  }
}

/** Codes: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes */
function explainAzure({ status, headers }: Refusal, where: string, kind: AzureAccess['kind']): FetchError | undefined {
  const code = String(headers['x-ms-error-code'] ?? 'no code')
  if (status === 404) {
    // A private container does not tell strangers that it exists.
    const hint =
      kind === 'anonymous' ? `, or is private: then ${fromSecret('AZURE_STORAGE_SAS_TOKEN or AZURE_STORAGE_KEY')}` : ''
    return new FetchError('NotFound', `${where} does not exist (${code}); check container and path${hint}.`)
  }
  if (![400, 401, 403, 409].includes(status)) return undefined
  const remedies: Readonly<Record<AzureAccess['kind'], string>> = {
    anonymous: fromSecret('AZURE_STORAGE_SAS_TOKEN or AZURE_STORAGE_KEY'),
    sas: 'make a new SAS with read permission that has not expired',
    key: 'check AZURE_STORAGE_KEY, and that the account allows shared keys',
    identity: 'grant the identity the role Storage Blob Data Reader',
  }
  return new FetchError('Forbidden', `${where} may not be read (${code}); ${remedies[kind]}.`)
}
