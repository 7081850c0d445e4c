import { afterEach, expect, test } from '@jest/globals'
import { Registry } from 'prom-client'
import { startHealthServer, type HealthServer } from './health-server.ts'

let server: HealthServer | undefined
afterEach(() => server?.close())

async function ask(path: string, state: { isLive?: boolean; trouble?: string } = {}) {
  server = await startHealthServer({
    host: '127.0.0.1',
    port: 0,
    registry: new Registry(),
    isLive: () => state.isLive ?? true,
    whyNotReady: () => state.trouble,
  })
  const answer = await fetch(`http://127.0.0.1:${server.port}${path}`)
  return [answer.status, await answer.text()]
}

test.each([
  ['/livez', {}, [200, 'ok\n']],
  ['/livez?verbose', { trouble: 'no lease' }, [200, 'ok\n']],
  ['/livez', { isLive: false }, [503, 'not ok: it hangs\n']],
  ['/readyz', {}, [200, 'ok\n']],
  ['/readyz', { trouble: 'no lease' }, [503, 'not ok: no lease\n']],
  ['/metrics', {}, [200, '\n']],
  ['/', {}, [404, 'not found; try /livez, /readyz or /metrics\n']],
])('%s of an operator in state %j', async (path, state, answer) => {
  expect(await ask(path, state)).toEqual(answer)
})
