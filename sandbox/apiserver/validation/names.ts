/** Rules for names, worded as k8s.io/apimachinery's validation is. Each returns the reasons why a name is refused. */
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const LABEL_1035 = /^[a-z]([-a-z0-9]*[a-z0-9])?$/
const QUALIFIED_NAME = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/
const LABEL_VALUE = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/

export type NameRule = (name: string, prefix: boolean) => string[]

export const subdomainName: NameRule = (name, prefix) =>
  checked(masked(name, prefix), SUBDOMAIN, 253, {
    what: "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
    example: 'example.com',
    regex: '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*',
  })

export const labelName: NameRule = (name, prefix) =>
  checked(masked(name, prefix), LABEL, 63, {
    what: "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
    example: "my-name',  or '123-abc",
    regex: '[a-z0-9]([-a-z0-9]*[a-z0-9])?',
  })

export const serviceName: NameRule = (name, prefix) =>
  checked(masked(name, prefix), LABEL_1035, 63, {
    what: "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
    example: "my-name',  or 'abc-123",
    regex: '[a-z]([-a-z0-9]*[a-z0-9])?',
  })

/** RBAC: anything that can stand in a path. */
export const pathSegmentName: NameRule = (name) => {
  if (name === '.' || name === '..') return [`may not be '${name}'`]
  return ['/', '%'].filter((illegal) => name.includes(illegal)).map((illegal) => `may not contain '${illegal}'`)
}

/** A label or annotation key: `[prefix/]name`. */
export function qualifiedNameProblems(key: string): string[] {
  const slash = key.indexOf('/')
  const name = slash < 0 ? key : key.slice(slash + 1)
  const problems: string[] = []
  if (slash >= 0) {
    const prefix = key.slice(0, slash)
    if (prefix === '') problems.push('prefix part must be non-empty')
    else problems.push(...subdomainName(prefix, false).map((problem) => `prefix part ${problem}`))
  }
  if (name === '') problems.push('name part must be non-empty')
  else if (name.length > 63) problems.push('name part must be no more than 63 bytes')
  if (!QUALIFIED_NAME.test(name)) {
    problems.push(
      "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
    )
  }
  return problems
}

export function labelValueProblems(value: string): string[] {
  const problems = value.length > 63 ? ['must be no more than 63 bytes'] : []
  if (!LABEL_VALUE.test(value)) {
    problems.push(
      "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
    )
  }
  return problems
}

interface Wording {
  readonly what: string
  readonly example: string
  readonly regex: string
}

function checked(name: string, shape: RegExp, maxLength: number, wording: Wording): string[] {
  const problems = name.length > maxLength ? [`must be no more than ${maxLength} characters`] : []
  if (!shape.test(name)) {
    problems.push(`${wording.what} (e.g. '${wording.example}', regex used for validation is '${wording.regex}')`)
  }
  return problems
}

/** A generateName may end in a dash, as characters follow it. */
function masked(name: string, prefix: boolean): string {
  return prefix && name.length > 1 && name.endsWith('-') ? `${name.slice(0, -1)}a` : name
}
