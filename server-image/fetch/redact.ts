/** Tails that name a version or a file inside, of sources whose URIs hold no credentials. */
const PUBLIC_TAILS =
  /^(s3:\/\/[^/?#@]+\/[^?#]+\?versionId=[\w.-]+|gs:\/\/[^/?#@]+\/[^?#]+#\d+|az(ure)?:\/\/[^/?#@]+\/[^?#]+\?versionid=[\w.:-]+|oci(\+http)?:\/\/[^/?#@]+\/[^?#]+\?file=[^?#&=]+)$/i

/** The URI as it may be shown: without user, password, the query's values and the fragment, any of which may be a secret. */
export function redactUri(uri: string): string {
  if (PUBLIC_TAILS.test(uri)) return uri
  const withoutUser = uri.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i, '$1***@')
  const [beforeFragment = ''] = withoutUser.split('#', 1)
  const queryAt = beforeFragment.indexOf('?')
  return queryAt === -1 ? beforeFragment : `${beforeFragment.slice(0, queryAt)}?***`
}
