/**
 * Credentials of AWS in the order that its tools look them up: variables, a web identity (IAM roles for service accounts), the
 * shared credentials file, the container's own service (EKS Pod Identity). The metadata service of the node is never asked.
 */
import { readFile } from 'node:fs/promises'
import { onlyAddresses } from '../address-policy.ts'
import { readDocument, readJson } from '../document.ts'
import { FetchError } from '../fetch-error.ts'
import type { Environment } from '../environment.ts'
import type { Remote } from '../persist.ts'
import { noProxy } from '../proxy.ts'
import { webUrl } from './http.ts'

export interface AwsCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

export function awsRegion(env: Environment): string {
  return (
    [env['AWS_REGION'], env['AWS_DEFAULT_REGION']].find((region) => region !== undefined && region !== '') ??
    'us-east-1'
  )
}

/** Of the region's partition. */
export function awsDomain(region: string): string {
  return region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com'
}

/** Undefined: ask anonymously. @throws FetchError */
export async function awsCredentials(remote: Remote): Promise<AwsCredentials | undefined> {
  const { env } = remote
  const given = complete(env['AWS_ACCESS_KEY_ID'], env['AWS_SECRET_ACCESS_KEY'], env['AWS_SESSION_TOKEN'])
  if (given !== undefined) return given
  const { AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile, AWS_ROLE_ARN: role, AWS_SHARED_CREDENTIALS_FILE: shared } = env
  if (tokenFile && role) return webIdentity(remote, tokenFile, role)
  if (shared) return fromSharedFile(shared, env['AWS_PROFILE'] || 'default')
  const service = env['AWS_CONTAINER_CREDENTIALS_FULL_URI']
  return service ? containerCredentials(remote, service) : undefined
}

function complete(
  accessKeyId: string | undefined,
  secretAccessKey: string | undefined,
  sessionToken: string | undefined,
): AwsCredentials | undefined {
  if (accessKeyId === undefined || accessKeyId === '') return undefined
  if (secretAccessKey === undefined || secretAccessKey === '') {
    throw new FetchError(
      'InvalidArgument',
      'AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY; put both into the Secret.',
    )
  }
  // A trailing newline comes with `echo KEY | base64`.
  const bare = { accessKeyId: accessKeyId.trim(), secretAccessKey: secretAccessKey.trim() }
  return sessionToken === undefined || sessionToken === '' ? bare : { ...bare, sessionToken: sessionToken.trim() }
}

/** https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html */
async function webIdentity(remote: Remote, tokenFile: string, role: string): Promise<AwsCredentials> {
  const { env } = remote
  const region = awsRegion(env)
  const variable = ['AWS_ENDPOINT_URL_STS', 'AWS_ENDPOINT_URL'].find((name) => env[name])
  const endpoint = variable === undefined ? undefined : env[variable]
  const { bytes } = await readDocument(remote, {
    url: webUrl(endpoint ?? `https://sts.${region}.${awsDomain(region)}/`, variable),
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      Action: 'AssumeRoleWithWebIdentity',
      Version: '2011-06-15',
      RoleArn: role,
      RoleSessionName: env['AWS_ROLE_SESSION_NAME'] || 'penstock-fetch',
      WebIdentityToken: (await readCredentialFile(tokenFile, 'AWS_WEB_IDENTITY_TOKEN_FILE')).trim(),
    }).toString(),
    explain: ({ body }) =>
      new FetchError(
        'Forbidden',
        `Role ${role} cannot be assumed (${/<Code>(\w{1,60})<\/Code>/.exec(body)?.[1] ?? 'no code'}); let the role trust this service account, and check its annotation eks.amazonaws.com/role-arn.`,
      ),
  })
  const xml = bytes.toString('utf8')
  const field = (name: string) => new RegExp(`<${name}>([^<]+)</${name}>`).exec(xml)?.[1]
  const credentials = complete(field('AccessKeyId'), field('SecretAccessKey'), field('SessionToken'))
  if (credentials !== undefined) return credentials
  throw new FetchError('Forbidden', `Assuming role ${role} brought no credentials; check ${variable ?? 'AWS_REGION'}.`)
}

/** Where plain http may be spoken to get credentials: this very pod, and the agents of ECS and EKS on its node. */
export const CONTAINER_SERVICES = onlyAddresses(
  ['127.0.0.0', 8],
  ['::1', 128],
  ['169.254.170.2', 32],
  ['169.254.170.23', 32],
  ['fd00:ec2::23', 128],
)

/** https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html */
async function containerCredentials(remote: Remote, service: string): Promise<AwsCredentials> {
  const { env } = remote
  const variable = 'AWS_CONTAINER_CREDENTIALS_FULL_URI'
  const url = webUrl(service, variable)
  const file = env['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE']
  const token = file
    ? await readCredentialFile(file, 'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE')
    : (env['AWS_CONTAINER_AUTHORIZATION_TOKEN'] ?? '')
  // Law: link-local addresses are open to this one request only, and to no proxy, as they mean another machine there.
  const route = url.protocol === 'http:' ? { ...remote, policy: CONTAINER_SERVICES, proxyFor: noProxy } : remote
  const answer = (await readJson(route, {
    url,
    authorize: token === '' ? undefined : () => ({ authorization: token.trim() }),
    explain: ({ status, body }) =>
      new FetchError(
        'Forbidden',
        `${url.host} gives no AWS credentials (status ${status}, ${/"code"\s*:\s*"(\w{1,60})"/i.exec(body)?.[1] ?? 'no code'}); check the Pod Identity association of this service account, and what its role trusts.`,
      ),
  })) as Readonly<Record<string, string | undefined>>
  const found = complete(answer['AccessKeyId'], answer['SecretAccessKey'], answer['Token'])
  if (found !== undefined) return found
  throw new FetchError('Forbidden', `${url.host} answered without AWS credentials; check ${variable}.`)
}

async function fromSharedFile(path: string, profile: string): Promise<AwsCredentials> {
  const text = await readCredentialFile(path, 'AWS_SHARED_CREDENTIALS_FILE')
  const entries = new Map<string, string>()
  let section = ''
  for (const line of text.split(/\r?\n/)) {
    section = /^\s*\[\s*(.+?)\s*\]/.exec(line)?.[1] ?? section
    const [, name, value] = /^\s*(\w+)\s*=\s*(.*?)\s*$/.exec(line) ?? []
    if (section === profile && name !== undefined && value !== undefined) entries.set(name.toLowerCase(), value)
  }
  const found = complete(
    entries.get('aws_access_key_id'),
    entries.get('aws_secret_access_key'),
    entries.get('aws_session_token'),
  )
  if (found !== undefined) return found
  throw new FetchError(
    'InvalidArgument',
    `AWS_SHARED_CREDENTIALS_FILE has no keys for profile "${profile}"; set AWS_PROFILE to one that has, or mend the file.`,
  )
}

/** @throws FetchError that names the variable, never the content */
export async function readCredentialFile(path: string, variable: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable'
    throw new FetchError(
      'InvalidArgument',
      `${variable} names a file that cannot be read (${code}); mount it into the fetch container at that path.`,
    )
  }
}
