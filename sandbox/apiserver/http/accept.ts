/** Content negotiation: which of the forms an answer can have does the client like best? */
export type AnswerForm = 'object' | 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList'

/**
 * Reads an Accept header. Clauses that this server cannot serve (protobuf, CBOR) are passed over; a client that
 * accepts nothing else gets JSON, whose Content-Type tells it so.
 */
export function negotiate(accept: string | undefined): AnswerForm {
  for (const clause of (accept ?? '').split(',')) {
    const [mediaType = '', ...parameters] = clause.split(';').map((part) => part.trim())
    if (!/^(\*|application)\/(json|yaml|\*)$/.test(mediaType) && mediaType !== '*/*') continue
    const as = parameters.find((each) => each.startsWith('as='))?.slice(3)
    if (as === undefined) return 'object'
    if (as === 'Table' || as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') return as
  }
  return 'object'
}

/** Does the client ask for aggregated discovery (`as=APIGroupDiscoveryList`), and in which version? */
export function aggregatedDiscoveryVersion(accept: string | undefined): string | undefined {
  for (const clause of (accept ?? '').split(',')) {
    if (!clause.trim().startsWith('application/json') || !clause.includes('as=APIGroupDiscoveryList')) continue
    return /v=([a-z0-9]+)/.exec(clause)?.[1]
  }
  return undefined
}
