import type { IncomingHttpHeaders } from 'node:http'
import { ApiError } from '../api-error.ts'

const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json *(?:; *charset="?utf-8"? *)?;? *$/i

/**
 * Clients that send no content type at all mean JSON, as the V2 protocol's do.
 * @throws ApiError `unsupported_media_type`
 */
export function checkJsonType(headers: IncomingHttpHeaders): void {
  const type = headers['content-type']
  if (type !== undefined && type !== 'application/json' && !JSON_TYPE.test(type)) {
    throw new ApiError(
      'unsupported_media_type',
      `The content type ${JSON.stringify(type.slice(0, 80))} is not supported; send JSON with "content-type: application/json".`,
    )
  }
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    throw new ApiError(
      'unsupported_media_type',
      `The content encoding ${JSON.stringify(encoding.slice(0, 80))} is not supported here; send the body as it is, or to the model by gzip or deflate.`,
    )
  }
}
