import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startTestServer, type TestServer } from '../../server-image/serve/testing.ts'
import { withPage, type Page } from './browser.ts'
import { findBrowser } from './find-browser.ts'

const browser = findBrowser()
const run = promisify(execFile)

/** What a reader does and sees, in the page's own words. */
const READER = `
globalThis.card = (id) => document.getElementById(id)
globalThis.ask = async (id) => {
  const output = card(id).querySelector('output')
  card(id).querySelector('button.main').click()
  while (output.textContent === '' || output.textContent === 'asking') await new Promise((resolve) => setTimeout(resolve, 5))
  return { status: output.textContent, look: output.className, answer: card(id).querySelector('.answer').textContent }
}
globalThis.fill = (id, text) => {
  const { body } = card(id).querySelector('form').elements
  body.value = text
  body.dispatchEvent(new Event('input'))
}
globalThis.formsOf = () => [...document.querySelectorAll('.card[data-path]')].map(({ id }) => id)
`

;(browser === undefined ? describe.skip : describe)('in a browser', () => {
  let columns: TestServer
  let tensors: TestServer

  beforeAll(async () => {
    columns = await startTestServer('columns', { modelName: 'it’s (a) <model>', modelVersion: '2 b' })
    tensors = await startTestServer('every_datatype')
  })

  afterAll(async () => {
    await columns.close()
    await tensors.close()
  })

  const inBrowser = <T>({ url }: TestServer, use: (page: Page) => Promise<T>, password?: string) =>
    withPage(browser ?? '', { url: `${url}/docs`, ...(password !== undefined && { password }) }, async (page) => {
      await page.run(READER)
      const result = await use(page)
      // Law: nothing breaks the page's own policy, and nothing is asked of anybody else.
      expect(page.complaints.filter((each) => !each.includes('status of 4'))).toEqual([])
      expect(page.requests.filter((each) => !each.startsWith(url) && !each.startsWith('data:'))).toEqual([])
      return result
    })

  test('every form is answered as it stands, and its curl and Python say the same', async () => {
    for (const server of [columns, tensors]) {
      await inBrowser(server, async (page) => {
        const forms = ((await page.run('formsOf()')) as string[]).filter((id) => id !== 'feedback')
        expect(forms.length).toBeGreaterThanOrEqual(2)
        for (const id of forms) {
          const { status, look, answer } = (await page.run(`ask('${id}')`)) as Record<string, string>
          expect([id, status, look]).toEqual([id, expect.stringMatching(/^200 OK, [\d.]+ ms/), 'good'])
          const shown = without(JSON.parse(answer ?? ''))
          const [curl = '', python = ''] = (await page.run(
            `['curl', 'python'].map((kind) => card('${id}').querySelector('.' + kind).textContent)`,
          )) as string[]
          expect([id, without(JSON.parse((await run('sh', ['-c', `${curl} --silent`])).stdout))]).toEqual([id, shown])
          const printed = python.replace('print(json.load(answer))', 'print(json.dumps(json.load(answer)))')
          expect([id, without(JSON.parse((await run('python3', ['-c', printed])).stdout))]).toEqual([id, shown])
        }
      })
    }
  })

  test('a wrong body is refused in red, with the server’s words', async () => {
    await inBrowser(columns, async (page) => {
      await page.run(`fill('predict', '{"features": [1]}')`)
      const { status, look, answer } = (await page.run(`ask('predict')`)) as Record<string, string>
      expect([status, look]).toEqual([expect.stringMatching(/^422 /), 'bad'])
      expect(JSON.parse(answer ?? '')).toMatchObject({ error: { code: 'invalid_input', field: 'features' } })
    })
  })

  test('the other example replaces the first, quotes survive the shell, and the answer’s id reaches the feedback', async () => {
    await inBrowser(columns, async (page) => {
      await page.run(`{
        const { example } = card('predict').querySelector('form').elements
        example.selectedIndex = 1
        example.dispatchEvent(new Event('change'))
      }`)
      const body = (await page.run(`card('predict').querySelector('textarea').value`)) as string
      expect(JSON.parse(body)).toMatchObject({ features: { city: expect.any(String) as unknown } })
      const quoted = {
        features: { ...(JSON.parse(body) as { features: object }).features, city: `O'Slo "é" \\ $HOME` },
      }
      await page.run(`fill('predict', ${JSON.stringify(JSON.stringify(quoted))})`)
      const curl = (await page.run(`card('predict').querySelector('.curl').textContent`)) as string
      const { stdout } = await run('sh', ['-c', `${curl} --silent`])
      const { answer } = (await page.run(`ask('predict')`)) as { answer: string }
      expect(without(JSON.parse(stdout))).toEqual(without(JSON.parse(answer)))
      const told = (await page.run(`ask('feedback')`)) as Record<string, string>
      expect([told['status'], told['look']]).toEqual([expect.stringMatching(/^200 /), 'good'])
      expect(JSON.parse(told['answer'] ?? '')).toMatchObject({ counted: 1 })
    })
  })

  test('the page is usable by its names: every field has a label, and every link leads somewhere', async () => {
    await inBrowser(columns, async (page) => {
      const unnamed = await page.run(
        `[...document.querySelectorAll('textarea, select')].filter((each) => each.labels.length === 0 && !each.ariaLabel).length`,
      )
      const dangling = await page.run(
        `[...document.querySelectorAll('a[href^="#"]')].filter((each) => !document.getElementById(each.hash.slice(1))).map((each) => each.hash)`,
      )
      expect([unnamed, dangling]).toEqual([0, []])
      const links = (await page.run(
        `[...document.querySelectorAll('a:not([href^="#"])')].map(({ href }) => href)`,
      )) as string[]
      expect(links.length).toBeGreaterThan(10)
      for (const link of new Set(links)) expect([link, (await fetch(link)).status]).toEqual([link, 200])
    })
  })

  test('a reader with a token types it once, as the browser asks, and can try everything', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'penstock-docs-'))
    const tokenFile = join(dir, 'tokens')
    await writeFile(tokenFile, 'the-token-of-a-reader\n')
    const guarded = await startTestServer('columns', { tokenFile })
    try {
      const asked = async (page: Page) => {
        const [first = ''] = (await page.run('formsOf()')) as string[]
        return (await page.run(`ask('${first}')`)) as Record<string, string>
      }
      expect((await inBrowser(guarded, asked, 'the-token-of-a-reader'))['look']).toBe('good')
    } finally {
      await guarded.close()
      await rm(dir, { recursive: true })
    }
  })

  test('a server that is gone is said to be so', async () => {
    const server = await startTestServer('regressor')
    await withPage(browser ?? '', { url: `${server.url}/docs` }, async (page) => {
      await page.run(READER)
      await server.close()
      const { status, look } = (await page.run(`ask('predict')`)) as Record<string, string>
      expect([status, look]).toEqual([expect.stringMatching(/^No answer: /), 'bad'])
    })
  })
})

function without(answer: unknown): unknown {
  return { ...(answer as object), latency_ms: undefined }
}
