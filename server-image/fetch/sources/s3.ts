/**
 * `s3://bucket/key[?versionId=V]`: Amazon S3 and whatever speaks its protocol, by the variables that the AWS tools know. Without
 * credentials the request is anonymous. Of a versioned bucket the answer names the version.
 */
import { AwsV4Signer } from 'aws4fetch'
import type { Authorize } from '../authorize.ts'
import { FetchError } from '../fetch-error.ts'
import type { HttpLocation, LocateContext, Refusal } from '../location.ts'
import type { Environment } from '../environment.ts'
import { awsCredentials, awsDomain, awsRegion, type AwsCredentials } from './aws-credentials.ts'
import { webUrl } from './http.ts'
import { encodedPath, fromSecret, pathBeside } from './object-path.ts'

interface S3Object {
  readonly uri: string
  readonly bucket: string
  readonly key: string
  readonly versionId: string | undefined
}

export async function locateS3(uri: string, context: LocateContext): Promise<HttpLocation> {
  const object = parseS3(uri)
  return located(object, {
    env: context.env,
    region: awsRegion(context.env),
    credentials: await awsCredentials(context),
  })
}

interface Access {
  readonly env: Environment
  readonly region: string
  readonly credentials: AwsCredentials | undefined
}

function located(object: S3Object, access: Access): HttpLocation {
  const { env, region, credentials } = access
  const url = objectUrl(object, env, region)
  if (object.versionId !== undefined) url.searchParams.set('versionId', object.versionId)
  return {
    kind: 'http',
    url,
    authorize: credentials === undefined ? undefined : signer(credentials, region),
    explain: (refusal) => explainS3(refusal, { object, region, env, isAnonymous: credentials === undefined }),
    // A version is of one object alone.
    beside: (path) => located({ ...object, key: pathBeside(object.key, path), versionId: undefined }, access),
    pin: ({ 'x-amz-version-id': version }) =>
      typeof version === 'string' && version !== 'null'
        ? `s3://${object.bucket}/${object.key}?versionId=${version}`
        : undefined,
  }
}

function parseS3(uri: string): S3Object {
  const [, bucket, key, versionId] = /^s3:\/\/([A-Za-z0-9][\w.-]*)\/(.+?)(?:\?versionId=([^&?]+))?$/i.exec(uri) ?? []
  if (bucket === undefined || key === undefined || key.endsWith('/')) {
    throw new FetchError('InvalidArgument', `"${uri}" names no object; write s3://bucket/path/to/model.onnx.`)
  }
  return { uri, bucket, key, versionId }
}

/** Own endpoints get the bucket in the path, as few of them have a name for each bucket. */
function objectUrl({ uri, bucket, key }: S3Object, env: Environment, region: string): URL {
  const variable = ['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'].find((name) => (env[name] ?? '') !== '')
  const base =
    variable === undefined
      ? new URL(`https://s3.${region}.${awsDomain(region)}/`)
      : webUrl(env[variable] ?? '', variable)
  const wish = env['AWS_S3_FORCE_PATH_STYLE']
  // A certificate's wildcard covers no bucket that has dots in its name.
  const isPathStyle =
    wish === undefined || wish === '' ? variable !== undefined || bucket.includes('.') : wish !== 'false'
  if (!isPathStyle) base.hostname = `${bucket}.${base.hostname}`
  const folder = base.pathname.replace(/\/$/, '')
  base.pathname = `${folder}/${isPathStyle ? `${bucket}/` : ''}${encodedPath(key, uri)}`
  return base
}

function signer(credentials: AwsCredentials, region: string): Authorize {
  return async ({ method, url }) => {
    const signed = await new AwsV4Signer({ method, url: url.href, ...credentials, service: 's3', region }).sign()
    return Object.fromEntries(signed.headers)
  }
}

interface Asked {
  readonly object: S3Object
  readonly region: string
  readonly env: Environment
  readonly isAnonymous: boolean
}

/** Codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html */
function explainS3(refusal: Refusal, asked: Asked): FetchError | undefined {
  const { object, region } = asked
  const where = `s3://${object.bucket}/${object.key}`
  const code = /<Code>(\w{1,60})<\/Code>/.exec(refusal.body)?.[1] ?? ''
  const home = regionIn(refusal) ?? region
  if ([301, 307, 400].includes(refusal.status) && home !== region) {
    return new FetchError(
      'InvalidArgument',
      `Bucket "${object.bucket}" is in region ${home}, not ${region}; set AWS_REGION=${home}.`,
    )
  }
  if (REJECTED_CREDENTIALS.includes(code)) {
    return new FetchError(
      'Forbidden',
      `${where}: the credentials are not accepted (${code}); ${fromSecret('a valid AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY')}.`,
    )
  }
  const missing = missingBecause(code, where, asked)
  if (missing !== undefined) return new FetchError('NotFound', missing)
  return [401, 403].includes(refusal.status) ? denied(where, asked) : undefined
}

const REJECTED_CREDENTIALS = [
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'ExpiredToken',
  'InvalidToken',
  'RequestTimeTooSkewed',
]

function regionIn({ headers, body }: Refusal): string | undefined {
  const header = headers['x-amz-bucket-region']
  return typeof header === 'string' ? header : /<Region>([\w-]{1,40})<\/Region>/.exec(body)?.[1]
}

function missingBecause(code: string, where: string, { object, region }: Asked): string | undefined {
  switch (code) {
    case 'NoSuchBucket':
      return `There is no bucket "${object.bucket}"; check its name, the region (${region}) and AWS_ENDPOINT_URL.`
    case 'NoSuchKey':
      return `${where} does not exist; check the key.`
    case 'InvalidArgument':
      return object.versionId === undefined
        ? undefined
        : `${where} can have no version "${object.versionId}"; check it.`
    case 'NoSuchVersion':
    case 'MethodNotAllowed':
      return `${where} has no version "${object.versionId}" any more; publish the model again.`
    default:
      return undefined
  }
}

function denied(where: string, { isAnonymous }: Asked): FetchError {
  if (!isAnonymous) {
    return new FetchError(
      'Forbidden',
      `${where} may not be read with these credentials, or it does not exist; allow s3:GetObject (and s3:GetObjectVersion) on it, and s3:ListBucket to tell the two apart.`,
    )
  }
  return new FetchError(
    'Forbidden',
    `${where} may not be read anonymously; ${fromSecret('AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY')}.`,
  )
}
