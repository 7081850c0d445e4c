import type { ServerResponse } from 'node:http'
import type { Cluster } from '../cluster.ts'
import type { WatchEvent, WatchSession } from '../handlers/watch.ts'
import type { JsonObject, KubeObject } from '../json.ts'
import { isObject, textOf } from '../json.ts'
import type { ResourceType } from '../kinds/resource-type.ts'
import { partialMetadata, singleTableMetadata, tableOf, type TableOptions } from '../table/table.ts'
import { negotiate, type AnswerForm } from './accept.ts'
import type { Reply } from './api-request.ts'
import type { Routed } from './router.ts'

export interface Wanted {
  readonly accept: string | undefined
  readonly query: URLSearchParams
  readonly method: string
  readonly signal: AbortSignal
}

type ListReply = Extract<Reply, { kind: 'list' }>

/** Writes replies in the form that the client asked for, and keeps watches open. */
export class AnswerWriter {
  readonly #cluster: Cluster
  readonly #ticker: NodeJS.Timeout
  readonly #onTick = new Set<() => void>()
  readonly #texts = new WeakMap<JsonObject, string>()
  readonly #itemTexts = new WeakMap<JsonObject, string>()

  constructor(cluster: Cluster, bookmarkIntervalMs: number) {
    this.#cluster = cluster
    this.#ticker = setInterval(() => this.#onTick.forEach((tick) => tick()), bookmarkIntervalMs)
    this.#ticker.unref()
  }

  close(): void {
    clearInterval(this.#ticker)
    this.#onTick.clear()
  }

  async write(response: ServerResponse, routed: Routed, wanted: Wanted): Promise<void> {
    if (routed.kind === 'text') {
      response.writeHead(routed.code, { 'Content-Type': 'text/plain; charset=utf-8' }).end(routed.text)
    } else if (routed.kind === 'watch') {
      await this.#writeWatch(response, routed.session, { ...wanted, type: routed.type })
    } else if (routed.reply.kind === 'stream') {
      await writeStream(response, routed.reply.contentType, routed.reply.chunks)
    } else if (routed.reply.kind === 'list') {
      this.sendJson(response, 200, this.#listText(routed.reply, routed.type, wanted))
    } else {
      this.#writeObject(response, routed.reply, { ...wanted, type: routed.type })
    }
  }

  sendJson(response: ServerResponse, code: number, text: string): void {
    const body = Buffer.from(text)
    response.writeHead(code, {
      'Content-Type': 'application/json',
      'Content-Length': body.length,
      'Cache-Control': 'no-cache, private',
    })
    response.end(body)
  }

  #writeObject(
    response: ServerResponse,
    reply: Extract<Reply, { kind: 'object' }>,
    wanted: Wanted & { type: ResourceType | undefined },
  ): void {
    const { object } = reply
    const form = negotiate(wanted.accept)
    const transformable = wanted.type && object['kind'] === wanted.type.kind && isObject(object['metadata'])
    if (!wanted.type || !transformable || form === 'object') {
      const discovery = object['kind'] === 'APIGroupDiscoveryList'
      if (discovery) {
        const version = textOf(object['apiVersion']).split('/')[1]
        response.setHeader(
          'Content-Type',
          `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
        )
        response.writeHead(reply.code).end(JSON.stringify(object))
        return
      }
      this.sendJson(response, reply.code, this.#text(object))
      return
    }
    const shown = this.#shape(object as KubeObject, wanted.type, form, this.#tableOptions(wanted.query, true))
    this.sendJson(response, reply.code, JSON.stringify(shown))
  }

  #listText({ list, items }: ListReply, type: ResourceType | undefined, wanted: Wanted): string {
    const objects = items as readonly KubeObject[]
    const form = negotiate(wanted.accept)
    if (type && form === 'Table') {
      return JSON.stringify(
        tableOf(type, objects, list['metadata'] as JsonObject, this.#tableOptions(wanted.query, true)),
      )
    }
    if (form === 'PartialObjectMetadataList' || form === 'PartialObjectMetadata') {
      const head = { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1', metadata: list['metadata'] ?? {} }
      return JSON.stringify({ ...head, items: objects.map(partialMetadata) })
    }
    const texts =
      type && !type.custom ? objects.map((each) => this.#itemText(each)) : objects.map((each) => this.#text(each))
    return `${JSON.stringify(list).slice(0, -1)},"items":[${texts.join(',')}]}`
  }

  #text(object: JsonObject): string {
    const known = this.#texts.get(object)
    if (known !== undefined) return known
    const text = JSON.stringify(object)
    this.#texts.set(object, text)
    return text
  }

  /** Go's typed lists leave kind and apiVersion out of their items. */
  #itemText(object: KubeObject): string {
    const known = this.#itemTexts.get(object)
    if (known !== undefined) return known
    const { kind: _kind, apiVersion: _apiVersion, ...rest } = object
    const text = JSON.stringify(rest)
    this.#itemTexts.set(object, text)
    return text
  }

  #shape(object: KubeObject, type: ResourceType, form: AnswerForm, options: TableOptions): JsonObject {
    if (form === 'Table') return tableOf(type, [object], singleTableMetadata(object), options)
    return partialMetadata(object)
  }

  #tableOptions(query: URLSearchParams, withColumns: boolean): TableOptions {
    const include = query.get('includeObject')
    return {
      now: this.#cluster.clock(),
      includeObject: include === 'Object' || include === 'None' ? include : 'Metadata',
      withColumns,
    }
  }

  async #writeWatch(
    response: ServerResponse,
    session: WatchSession,
    wanted: Wanted & { type: ResourceType },
  ): Promise<void> {
    const form = negotiate(wanted.accept)
    response.writeHead(200, { 'Content-Type': 'application/json;stream=watch', 'Cache-Control': 'no-cache, private' })
    response.flushHeaders()
    let withColumns = true
    const send = (event: WatchEvent): void => {
      response.write(`${this.#eventText(event, wanted, { form, withColumns })}\n`)
      withColumns = false
      if (event.type === 'ERROR') response.end()
    }
    const tick = (): void => send(session.bookmark())
    const stop = session.open(send)
    if (session.bookmarks) this.#onTick.add(tick)
    const timeout = setTimeout(() => response.end(), session.timeoutMs)
    await new Promise<void>((resolve) => (response.destroyed ? resolve() : response.once('close', resolve)))
    clearTimeout(timeout)
    this.#onTick.delete(tick)
    stop()
  }

  #eventText(
    event: WatchEvent,
    wanted: Wanted & { type: ResourceType },
    { form, withColumns }: { form: AnswerForm; withColumns: boolean },
  ): string {
    if (event.type === 'ERROR' || form === 'object')
      return `{"type":"${event.type}","object":${this.#text(event.object)}}`
    if (event.type === 'BOOKMARK' && form === 'Table') {
      const metadata = isObject(event.object['metadata']) ? event.object['metadata'] : {}
      const table = { kind: 'Table', apiVersion: 'meta.k8s.io/v1', metadata, columnDefinitions: null, rows: [] }
      return JSON.stringify({ type: event.type, object: table })
    }
    const options = this.#tableOptions(wanted.query, withColumns)
    return JSON.stringify({
      type: event.type,
      object: this.#shape(event.object as KubeObject, wanted.type, form, options),
    })
  }
}

async function writeStream(
  response: ServerResponse,
  contentType: string,
  chunks: AsyncIterable<Uint8Array | string>,
): Promise<void> {
  response.writeHead(200, { 'Content-Type': contentType, 'Cache-Control': 'no-cache, private' })
  response.flushHeaders()
  for await (const chunk of chunks) {
    if (response.destroyed) break
    if (!response.write(chunk))
      await new Promise<void>((resolve) => response.once('drain', resolve).once('close', resolve))
  }
  response.end()
}
