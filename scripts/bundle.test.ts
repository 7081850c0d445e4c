import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { eventually, modelPath, startTestServer } from '../server-image/serve/testing.ts'
import { writeKubeconfig } from '../test/kube/kubeconfig-file.ts'

const run = promisify(execFile)
const dir = mkdtempSync(join(tmpdir(), 'penstock-bundle-'))
const programOf = (name: string) => join(dir, name, 'dist', name, 'main.mjs')

beforeAll(async () => {
  for (const name of ['operator', 'server'])
    await run(process.execPath, [join(import.meta.dirname, 'bundle.ts'), name, `--out=${join(dir, name)}`])
}, 60_000)
afterAll(() => rmSync(dir, { recursive: true }))

test('the bundled server fetches a model over HTTP, judges it, serves it, and is seen to be healthy', async () => {
  const origin = await startTestServer('mlp20')
  const models = join(dir, 'models')
  mkdirSync(models)
  const out = `--out=${join(models, 'model.onnx')}`
  const server = (...args: string[]) => run(process.execPath, [programOf('server'), ...args])
  // What comes is no model, which can only be said once it has come.
  const refusal = { code: 1, stderr: expect.stringContaining('InvalidModel: The file is a JSON document') }
  await expect(server('fetch', `--uri=${origin.url}/v2`, out, '--inspect')).rejects.toMatchObject(refusal)
  await server('fetch', `--uri=${modelPath('mlp20')}`, out, '--inspect')

  const flags = [`--model-dir=${models}`, '--host=127.0.0.1', '--port=0']
  const child = spawn(process.execPath, [programOf('server'), 'serve', ...flags], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exit = once(child, 'exit')
  try {
    let log = ''
    child.stdout.on('data', (chunk) => (log += String(chunk)))
    await eventually(() => log.includes('serving the model'))
    const port = /"port":(\d+)/.exec(log)?.[1] ?? ''
    const body = JSON.stringify({ features: Array.from({ length: 20 }, (_, index) => index) })
    const answer = await fetch(`http://127.0.0.1:${port}/predict`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
    })
    expect([answer.status, await answer.json()]).toEqual([
      200,
      expect.objectContaining({ prediction: expect.anything() }),
    ])
    await server('healthcheck', `--port=${port}`)
    // What the bundle leaves out of Express would show in its answers' heads.
    for (const page of ['/', '/health', '/metrics', '/openapi.json', '/docs', '/nowhere?a[b]=c', '/%ff'])
      expect([page, await headOf(`http://127.0.0.1:${port}${page}`)]).toEqual([
        page,
        await headOf(`${origin.url}${page}`),
      ])
  } finally {
    child.kill('SIGKILL')
    await exit
    await origin.close()
  }
})

test('the bundled server leaves out what it never uses, and names what it took in', () => {
  const notices = readFileSync(join(dir, 'server/third-party-licenses.txt'), 'utf8')
  expect(notices).toMatch(/^express 5/m)
  expect(notices).not.toMatch(/^(body-parser|raw-body|iconv-lite|qs|@opentelemetry\/api) /m)
})

async function headOf(url: string): Promise<unknown> {
  const { status, headers, body } = await fetch(url)
  await body?.cancel()
  // Times, and pages that tell the name of the model, are those of each server.
  const own = ['date', 'content-length', 'x-request-id']
  return { status, headers: Object.fromEntries([...headers].filter(([name]) => !own.includes(name))) }
}

test('the bundled operator asks its API server', async () => {
  const asked: string[] = []
  const api = createServer(({ url, headers }, response) => {
    if (headers['user-agent']?.startsWith('penstock-operator') === true) asked.push(url ?? '')
    response.writeHead(503).end()
  })
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve))
  const server = `http://127.0.0.1:${(api.address() as AddressInfo).port}`
  const kubeconfig = await writeKubeconfig(join(dir, 'kubeconfig'), { server, caPem: '', token: 'of-nobody' })
  const flags = [`--kubeconfig=${kubeconfig}`, '--server-image=x', '--health-address=127.0.0.1:0']
  const child = spawn(process.execPath, [programOf('operator'), ...flags], { stdio: ['ignore', 'ignore', 'inherit'] })
  const exit = once(child, 'exit')
  try {
    await eventually(() => asked.some((url) => url.includes('/leases/')))
  } finally {
    child.kill('SIGKILL')
    await exit
    api.closeAllConnections()
    api.close()
  }
})
