/** How a request gets its credentials. */
import type { OutgoingHttpHeaders } from 'node:http'

/** A request that is about to be sent; `headers` are those it has already. */
export interface Unsigned {
  readonly method: string
  readonly url: URL
  readonly headers: OutgoingHttpHeaders
}

/** Adds the headers that carry credentials. Asked anew for every request, and only for requests to the host they are meant for. */
export type Authorize = (request: Unsigned) => Promise<OutgoingHttpHeaders> | OutgoingHttpHeaders
