/**
 * Bearer tokens (RFC 6750) that the server's clients must bring: one or more, from a file that may change at any time, so that tokens
 * are rotated by adding the new one, moving the clients, and taking the old one out.
 */
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { followFiles } from './follow-files.ts'

const MIN_CHARACTERS = 16
const MAX_CHARACTERS = 4096
const MAX_TOKENS = 1000
/** What RFC 6750, 2.1 lets a token be made of. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/

export interface TokensOptions {
  /** One token a line; empty lines and lines that begin with # mean nothing. */
  readonly path: string
  /** Told, in words without tokens, when the file has changed: what is in force now. */
  readonly onChange: (message: string) => void
  /** Told of a change that cannot be taken; what was in force stays. */
  readonly onBadChange: (message: string) => void
}

export class Tokens {
  /** Digests: to find one takes the same time however much of a wrong token is right. */
  #digests: ReadonlySet<string>
  readonly #stop: () => void

  /** @throws Error when the file cannot be read or holds anything else, naming file and line but no token */
  constructor({ path, onChange, onBadChange }: TokensOptions) {
    const { content, stop } = followFiles({
      paths: [path],
      read: () => readTokens(path),
      onChange: (digests) => {
        this.#digests = digests
        onChange(`${digests.size} bearer token${digests.size === 1 ? ' is' : 's are'} accepted now`)
      },
      onBadChange: (message) => onBadChange(`${message}; the tokens that were accepted before still are`),
    })
    this.#digests = content
    this.#stop = stop
  }

  /** @param authorization value of the header */
  accept(authorization: string | undefined): boolean {
    const token = /^bearer +(\S+) *$/i.exec(authorization ?? '')?.[1]
    return token !== undefined && this.#digests.has(digestOf(token))
  }

  /**
   * A token as the password of whatever user (RFC 7617), which is how a browser can send it.
   * @param authorization value of the header
   */
  acceptPassword(authorization: string | undefined): boolean {
    const encoded = /^basic +([\w+/=-]+) *$/i.exec(authorization ?? '')?.[1] ?? ''
    const credentials = Buffer.from(encoded, 'base64').toString('utf8')
    const colon = credentials.indexOf(':')
    return colon !== -1 && this.#digests.has(digestOf(credentials.slice(colon + 1)))
  }

  close(): void {
    this.#stop()
  }
}

function readTokens(path: string): ReadonlySet<string> {
  const tokens = new Set<string>()
  for (const [index, line] of readFileSync(path, 'utf8').split('\n').entries()) {
    const token = line.trim()
    if (token === '' || token.startsWith('#')) continue
    if (!TOKEN.test(token) || token.length < MIN_CHARACTERS || token.length > MAX_CHARACTERS) {
      throw new Error(
        `line ${index + 1} of ${path} is no bearer token: ${MIN_CHARACTERS} to ${MAX_CHARACTERS} letters, digits or -._~+/, for example from "openssl rand -hex 32"`,
      )
    }
    tokens.add(digestOf(token))
  }
  if (tokens.size === 0 || tokens.size > MAX_TOKENS) {
    throw new Error(`${path} holds ${tokens.size} bearer tokens; write 1 to ${MAX_TOKENS}, one a line`)
  }
  return tokens
}

function digestOf(token: string): string {
  return hash('sha256', token, 'base64')
}
