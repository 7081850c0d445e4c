/** Variables of the process that fetches: credentials, endpoints and proxies are named there. */
export type Environment = Readonly<Record<string, string | undefined>>
