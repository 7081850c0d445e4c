import type { IncomingMessage } from 'node:http'
import { load } from 'js-yaml'
import { isObject, type Json, type JsonObject } from '../json.ts'
import { badRequest, tooLarge, unsupportedMediaType } from '../status.ts'

/** The limit of a real API server for one request. */
export const MAX_BODY_BYTES = 3 * 1024 * 1024

/** Reads a whole body; one over the limit is refused with 413 and not kept. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) throw tooLarge(MAX_BODY_BYTES)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

export function mediaTypeOf(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
}

/** Parses an object sent as JSON or YAML. */
export function parseObject(body: Buffer, mediaType: string): JsonObject {
  const value = parseDocument(body, mediaType)
  if (!isObject(value))
    throw badRequest(
      'couldn\'t get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }',
    )
  return value
}

export function parseDocument(body: Buffer, mediaType: string): Json {
  const text = body.toString('utf8')
  switch (mediaType) {
    case '':
    case 'application/json':
    case 'application/json-patch+json':
    case 'application/merge-patch+json':
    case 'application/strategic-merge-patch+json':
      return parseJson(text)
    case 'application/yaml':
    case 'application/apply-patch+yaml':
      return text.trimStart().startsWith('{') ? parseJson(text) : parseYaml(text)
    default:
      throw unsupportedMediaType(['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'])
  }
}

function parseJson(text: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch (error) {
    throw badRequest(`error decoding JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** YAML by way of JSON, so that dates and other YAML-only values become plain strings. */
function parseYaml(text: string): Json {
  try {
    return JSON.parse(JSON.stringify(load(text) ?? null)) as Json
  } catch (error) {
    throw badRequest(`error decoding YAML: ${error instanceof Error ? error.message : String(error)}`)
  }
}
