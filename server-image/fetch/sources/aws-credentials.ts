/**
 * Credentials of AWS in the order that its tools look them up: variables, a web identity (IAM roles for service accounts), the
 * shared credentials file. Metadata services are link-local, so they are never asked.
 */
import { readFile } from 'node:fs/promises'
import { readDocument } from '../document.ts'
import { FetchError } from '../fetch-error.ts'
import type { Environment, Remote } from '../persist.ts'
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

/** Undefined: ask anonymously. @throws FetchError */
export async function awsCredentials(remote: Remote): Promise<AwsCredentials | undefined> {
  const { env } = remote
  const given = complete(env['AWS_ACCESS_KEY_ID'], env['AWS_SECRET_ACCESS_KEY'], env['AWS_SESSION_TOKEN'])
  if (given !== undefined) return given
  const { AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile, AWS_ROLE_ARN: role, AWS_SHARED_CREDENTIALS_FILE: shared } = env
  if (tokenFile !== undefined && role !== undefined) return webIdentity(remote, tokenFile, role)
  return shared === undefined || shared === '' ? undefined : fromSharedFile(shared, env['AWS_PROFILE'] ?? 'default')
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
  const endpoint = env['AWS_ENDPOINT_URL_STS'] ?? `https://sts.${awsRegion(env)}.amazonaws.com/`
  const { bytes } = await readDocument(remote, {
    url: webUrl(endpoint, 'AWS_ENDPOINT_URL_STS'),
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      Action: 'AssumeRoleWithWebIdentity',
      Version: '2011-06-15',
      RoleArn: role,
      RoleSessionName: env['AWS_ROLE_SESSION_NAME'] ?? 'penstock-fetch',
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
  throw new FetchError('Forbidden', `Assuming role ${role} brought no credentials; check AWS_ENDPOINT_URL_STS.`)
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
