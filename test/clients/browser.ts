/** A real browser without a window, by its DevTools protocol. */
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '../../server-image/serve/testing.ts'

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: Readonly<Record<string, unknown>>
  readonly result?: Readonly<Record<string, unknown>>
  readonly error?: { readonly message: string }
}

/** One page; everything that it complains about is kept. */
export class Page {
  /** Of its console, its scripts and its policy. */
  readonly complaints: string[] = []
  /** Addresses of what it asked for. */
  readonly requests: string[] = []
  readonly #socket: WebSocket
  readonly #waiting = new Map<number, (message: Message) => void>()
  readonly #password: string | undefined
  #asked = 0

  /** @param password for whoever wants one */
  constructor(socket: WebSocket, password?: string) {
    this.#socket = socket
    this.#password = password
    socket.addEventListener('message', ({ data }) => this.#hear(JSON.parse(String(data)) as Message))
  }

  async open(url: string): Promise<void> {
    for (const domain of ['Page', 'Runtime', 'Log', 'Network', 'Audits']) await this.#ask(`${domain}.enable`)
    if (this.#password !== undefined) await this.#ask('Fetch.enable', { handleAuthRequests: true })
    await this.#ask('Page.navigate', { url })
    await eventually(async () => (await this.run('location.href + document.readyState')) === `${url}complete`)
  }

  /** The value of an expression in the page. @throws Error when it throws */
  async run(expression: string): Promise<unknown> {
    const asked = { expression, awaitPromise: true, returnByValue: true, userGesture: true }
    const result = (await this.#ask('Runtime.evaluate', asked)) as {
      result?: { value?: unknown }
      exceptionDetails?: { exception?: { description?: string } }
    }
    if (result.exceptionDetails !== undefined)
      throw new Error(result.exceptionDetails.exception?.description ?? 'The page threw.')
    return result.result?.value
  }

  async #ask(method: string, params: object = {}): Promise<unknown> {
    const id = (this.#asked += 1)
    const answer = new Promise<Message>((resolve) => this.#waiting.set(id, resolve))
    this.#socket.send(JSON.stringify({ id, method, params }))
    const { result, error } = await answer
    if (error !== undefined) throw new Error(`${method}: ${error.message}`)
    return result
  }

  #hear({ id, method, params, ...rest }: Message): void {
    if (id !== undefined) this.#waiting.get(id)?.({ id, ...rest })
    const { requestId } = params ?? {}
    if (method === 'Fetch.requestPaused') void this.#ask('Fetch.continueRequest', { requestId })
    if (method === 'Fetch.authRequired') {
      const authChallengeResponse = { response: 'ProvideCredentials', username: 'me', password: this.#password }
      void this.#ask('Fetch.continueWithAuth', { requestId, authChallengeResponse })
    }
    if (method === 'Network.requestWillBeSent')
      this.requests.push((params?.['request'] as { readonly url: string }).url)
    const isComplaint =
      method === 'Runtime.exceptionThrown' || method === 'Log.entryAdded' || method === 'Runtime.consoleAPICalled'
    if (isComplaint || method === 'Audits.issueAdded') this.complaints.push(`${method}: ${JSON.stringify(params)}`)
  }
}

export interface Visit {
  readonly url: string
  /** That a reader types when the browser asks for one. */
  readonly password?: string
}

/** Opens a page in a new browser, which is gone afterwards. */
export async function withPage<T>(
  browser: string,
  { url, password }: Visit,
  use: (page: Page) => Promise<T>,
): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'penstock-browser-'))
  const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking']
  const child = spawn(browser, [...flags, '--remote-debugging-port=0', `--user-data-dir=${dir}`, 'about:blank'], {
    stdio: 'ignore',
    detached: true,
  })
  const exited = new Promise((resolve) => child.once('exit', resolve))
  try {
    const socket = new WebSocket(await pageAddress(dir))
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve)
      socket.addEventListener('error', () => reject(new Error('The browser cannot be talked to.')))
    })
    const page = new Page(socket, password)
    await page.open(url)
    const result = await use(page)
    socket.close()
    return result
  } finally {
    // It starts others, all of one group.
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    await exited
    await rm(dir, { recursive: true, force: true, maxRetries: 10 })
  }
}

async function pageAddress(dir: string): Promise<string> {
  let address: string | undefined
  await eventually(async () => {
    const [port] = (await readFile(join(dir, 'DevToolsActivePort'), 'utf8').catch(() => '')).split('\n')
    if (port === undefined || port === '') return false
    const targets = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as {
      type: string
      webSocketDebuggerUrl: string
    }[]
    address = targets.find(({ type }) => type === 'page')?.webSocketDebuggerUrl
    return address !== undefined
  })
  return address as string
}
