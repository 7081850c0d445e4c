import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, expect, test } from '@jest/globals'
import { makeAuthority } from '../../operator/kube/test-certificates.ts'
import { startTestServer, type TestServer } from '../serve/testing.ts'
import { mountSecret } from '../serve/tls/testing.ts'
import { flagsIn } from './command.ts'

const MAIN = join(import.meta.dirname, '../main.ts')
const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

async function server(...args: Parameters<typeof startTestServer>): Promise<TestServer> {
  const started = await startTestServer(...args)
  closers.push(() => started.close())
  return started
}

async function check(flags: readonly string[], env: Record<string, string> = {}) {
  const args = ['--no-warnings', MAIN, 'healthcheck', ...flags]
  const child = spawn(process.execPath, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'pipe'] })
  const [said, [status]] = await Promise.all([text(child.stderr), once(child, 'close')])
  return { status: status as number, said }
}

test('a server that lives is healthy, at whatever port', async () => {
  const { port } = await server('mlp20')
  expect(await check([`--port=${port}`, '--model-dir=/models'])).toEqual({ status: 0, said: '' })
})

test('nobody at that port is not', async () => {
  const stopped = await server('mlp20')
  await stopped.close()
  const { port } = stopped
  const { status, said } = await check([`--port=${port}`])
  expect([status, said]).toEqual([1, expect.stringMatching(`^http://127.0.0.1:${port}/livez: .*ECONNREFUSED`)])
})

test('a server is asked at the address that it was told to listen at', async () => {
  const { port } = await server('mlp20', { host: '::1' })
  expect(await check([`--port=${port}`])).toMatchObject({ status: 1 })
  expect(await check([`--port=${port}`, '--host=::'])).toEqual({ status: 0, said: '' })
  expect(await check([`--port=${port}`], { PENSTOCK_HOST: '::1' })).toEqual({ status: 0, said: '' })
})

test('a server that speaks TLS is asked by TLS, whatever names its certificate has', async () => {
  const authority = await makeAuthority()
  const secret = mountSecret(await authority.issue('model.example.com'))
  closers.push(secret.remove)
  const { port } = await server('mlp20', { tls: secret.files })
  const { certFile, keyFile } = secret.files
  const env = { PENSTOCK_TLS_CERT_FILE: certFile, PENSTOCK_TLS_KEY_FILE: keyFile }
  expect(await check([`--port=${port}`], env)).toEqual({ status: 0, said: '' })
  expect(await check([`--port=${port}`, `--tls-cert-file=${certFile}`])).toEqual({ status: 0, said: '' })
  expect(await check([`--port=${port}`])).toMatchObject({ status: 1 })
})

test.each([
  [
    'the server’s own',
    ['node', '/app/main.mjs', 'serve', '--port=9000', '--host', '::'],
    ['--port=9000', '--host', '::'],
  ],
  ['an init’s', ['/sbin/docker-init', '--', 'node', '/app/main.mjs', 'serve', '--port=1'], ['--port=1']],
  ['that of another command', ['node', '/app/main.mjs', 'fetch', '--uri=x'], undefined],
  ['that of another program', ['/sbin/init', 'serve'], undefined],
  ['none', [], undefined],
])('flags are taken from a command line, if it is %s', (_title, words, flags) => {
  expect(flagsIn(words.map((word) => `${word}\0`).join(''), '/app/main.mjs')).toEqual(flags)
})
