import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from '@jest/globals'
import { EVIDENCE_PATH, type Evidence } from '../../protocol/evidence.ts'
import { REVISION_HEADER } from '../../protocol/headers.ts'
import type { PlanFile } from '../../protocol/plan.ts'
import { startServer } from './server.ts'
import { eventually, get, modelPath, post, startTestServer, testOptions, type TestServer } from './testing.ts'

const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const row = Array.from({ length: 20 }, (_, index) => index / 10)

function temporary(): string {
  const dir = mkdtempSync(join(tmpdir(), 'serve-'))
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

async function server(...args: Parameters<typeof startTestServer>): Promise<TestServer> {
  const started = await startTestServer(...args)
  cleanups.push(() => started.close())
  return started
}

const evidenceOf = async ({ url }: TestServer) => (await get(url + EVIDENCE_PATH)).json as Evidence

function writePlan(dir: string, plan: Omit<PlanFile, 'revision'>): void {
  writeFileSync(join(dir, 'tmp'), JSON.stringify({ ...plan, revision: 'own' }))
  renameSync(join(dir, 'tmp'), join(dir, 'own.json'))
}

describe('two revisions', () => {
  test('share the requests as the plan says, and both can prove it', async () => {
    const trafficDir = temporary()
    const candidate = await server('forest20', { revision: 'next' })
    const stable = await server('mlp20', { trafficDir, relayTimeoutMs: 20_000 })
    const peer = { revision: 'next', address: candidate.address }
    writePlan(trafficDir, { id: 1, peer, weightPermille: 250, shadowPermille: 0, retired: false })
    await eventually(async () => (await evidenceOf(stable)).planId === 1)

    const revisions: (string | null)[] = []
    for (let sent = 0; sent < 100; sent += 1) {
      revisions.push((await post(`${stable.url}/predict`, { features: row })).headers.get(REVISION_HEADER))
    }
    expect(revisions.filter((revision) => revision === 'next')).toHaveLength(25)
    const { answers, directRequests, breaker } = await evidenceOf(stable)
    expect([answers['own']?.ok, answers['next']?.ok, directRequests, breaker]).toEqual([75, 25, 100, 'closed'])
    expect(Object.values(answers['next']?.latency ?? {}).reduce((sum, count) => sum + count, 0)).toBe(25)
    expect(await evidenceOf(candidate)).toMatchObject({
      relayedIn: 25,
      directRequests: 0,
      revision: 'next',
      ready: true,
    })
    const metrics = await (await fetch(`${stable.url}/metrics`)).text()
    expect(metrics).toContain('penstock_relay_requests_total{peer="next",result="ok"} 25')
    expect(metrics).toContain('penstock_traffic_plan_id 1')
  })

  test('tell what clients got apart from what a failing candidate was asked by the way', async () => {
    const trafficDir = temporary()
    const candidate = await startServer(testOptions('there_is_no_such_model', { revision: 'next' }))
    cleanups.push(() => candidate.close())
    candidate.ready.catch(() => undefined)
    const stable = await server('mlp20', { trafficDir })
    const peer = { revision: 'next', address: `127.0.0.1:${candidate.port}` }
    writePlan(trafficDir, { id: 1, peer, weightPermille: 500, shadowPermille: 0, retired: false })
    await eventually(async () => (await evidenceOf(stable)).planId === 1)
    for (let sent = 0; sent < 10; sent += 1) await post(`${stable.url}/predict`, { features: row })
    await post(`${stable.url}/predict`, { features: [] })
    const countersOf = async (port: number) => {
      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
      return text.split('\n').filter((line) => /^(ml_predictions|penstock_client_answers)_total.* [1-9]/.test(line))
    }
    const failures = /^ml_predictions_total\{endpoint="predict",status="error"\} \d+$/
    expect(await countersOf(candidate.port)).toEqual([expect.stringMatching(failures)])
    expect(await countersOf(stable.port)).toEqual([
      'ml_predictions_total{endpoint="predict",status="success"} 10',
      'ml_predictions_total{endpoint="predict",status="invalid"} 1',
      'penstock_client_answers_total{endpoint="predict",status="success"} 10',
      'penstock_client_answers_total{endpoint="predict",status="invalid"} 1',
    ])
  })

  test('are never taken for each other by a client that names a version', async () => {
    const trafficDir = temporary()
    const candidate = await server('mlp20', { revision: 'next', modelVersion: '8' })
    const stable = await server('mlp20', { trafficDir })
    const peer = { revision: 'next', address: candidate.address }
    writePlan(trafficDir, { id: 1, peer, weightPermille: 1000, shadowPermille: 0, retired: false })
    await eventually(async () => (await evidenceOf(stable)).planId === 1)
    const body = { inputs: [{ name: 'x', shape: [1, 20], datatype: 'FP32', data: row }] }
    const revisionOf = async (path: string) => {
      const { status, headers } = await post(stable.url + path, body)
      return [status, headers.get(REVISION_HEADER)]
    }
    expect(await revisionOf('/v2/models/m/infer')).toEqual([200, 'next'])
    expect(await revisionOf('/v2/models/m/versions/7/infer')).toEqual([200, 'own'])
    const { answers, directRequests } = await evidenceOf(stable)
    expect([answers['own']?.ok, answers['next']?.ok, answers['next']?.error, directRequests]).toEqual([1, 1, 0, 2])
  })

  test('get the truth about their own answers, whichever the client reaches with it', async () => {
    const trafficDir = temporary()
    const candidate = await server('columns', { revision: 'next' })
    const stable = await server('columns', { trafficDir })
    const peer = { revision: 'next', address: candidate.address }
    writePlan(trafficDir, { id: 1, peer, weightPermille: 500, shadowPermille: 0, retired: false })
    await eventually(async () => (await evidenceOf(stable)).planId === 1)
    const counted: unknown[] = []
    for (const client of [undefined, undefined, 'order-1', 'order-2']) {
      const headers: Record<string, string> = client === undefined ? {} : { 'x-request-id': client }
      const answer = await post(`${stable.url}/predict`, { features: [30, 0.5, 1, 'Lima'] }, headers)
      const label = (answer.json as { prediction: number }).prediction
      const told = await post(`${stable.url}/feedback`, { id: answer.headers.get('x-request-id'), label })
      expect(told.json).toMatchObject({ counted: 1 })
      expect(told.headers.get(REVISION_HEADER)).toBe(answer.headers.get(REVISION_HEADER))
      counted.push(told.headers.get(REVISION_HEADER))
    }
    expect(counted.filter((revision) => revision === 'next')).toHaveLength(2)
    const metricsOf = async ({ url }: TestServer) => (await fetch(`${url}/metrics`)).text()
    expect(await metricsOf(stable)).toContain('penstock_feedback_total{result="passed-on"} 2')
    for (const each of [stable, candidate]) {
      expect(await metricsOf(each)).toContain('penstock_feedback_total{result="correct"} 2')
    }
    const strange = { id: 'unheard-of', label: 1 }
    expect((await post(`${stable.url}/feedback`, strange)).status).toBe(404)
    const wrong = await post(`${stable.url}/feedback`, { id: 'order-1', label: 9 })
    expect(wrong.status).toBe(422)
    const { relayedIn, answers } = await evidenceOf(candidate)
    expect([relayedIn, answers['next']?.ok]).toEqual([2, 0])
  })

  test('a replaced one sends its clients away, and everything to its successor', async () => {
    const trafficDir = temporary()
    const successor = await server('mlp20', { revision: 'next' })
    const retired = await server('mlp20', { trafficDir })
    const peer = { revision: 'next', address: successor.address }
    writePlan(trafficDir, { id: 4, peer, weightPermille: 1000, shadowPermille: 0, retired: true })
    await eventually(async () => (await evidenceOf(retired)).planId === 4)
    const { headers } = await post(`${retired.url}/predict`, { features: row })
    expect([headers.get(REVISION_HEADER), headers.get('connection')]).toEqual(['next', 'close'])
  })
})

describe('before the model is loaded', () => {
  test('lives, is not ready, and refuses with the advice to come back', async () => {
    const loading = await startServer(testOptions('there_is_no_such_model'))
    cleanups.push(() => loading.close())
    const failure = expect(loading.ready).rejects.toThrow('there_is_no_such_model')
    const url = `http://127.0.0.1:${loading.port}`
    expect((await get(`${url}/livez`)).status).toBe(200)
    expect((await get(`${url}/readyz`)).status).toBe(503)
    expect((await get(`${url}/v2/health/ready`)).status).toBe(503)
    const health = await get(`${url}/health`)
    expect([health.status, health.json]).toEqual([503, { status: 'loading', model_loaded: false, version: '7' }])
    const refused = await post(`${url}/predict`, { features: row })
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
    expect(refused.json).toMatchObject({ error: { code: 'model_not_loaded' } })
    const metadata = await get(`${url}/v2/models/m`)
    expect([metadata.status, metadata.headers.get('retry-after')]).toEqual([503, '1'])
    expect(metadata.json).toMatchObject({ code: 'model_not_loaded', error: expect.any(String) as unknown })
    await failure
  })
})

interface Program {
  readonly process: ChildProcess
  readonly port: number
  readonly exit: Promise<number | null>
  readonly log: () => string
}

/** The real program, on a port that it chose. */
function program(...flags: string[]): Promise<Program> {
  return programWith('mlp20', ...flags)
}

async function programWith(model: string, ...flags: string[]): Promise<Program> {
  const dir = temporary()
  copyFileSync(modelPath(model), join(dir, 'model.onnx'))
  const main = join(import.meta.dirname, '../main.ts')
  const args = ['--no-warnings', main, 'serve', `--model-dir=${dir}`, '--host=127.0.0.1', '--port=0', ...flags]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] })
  const exit = once(child, 'exit').then(([code]) => code as number | null)
  cleanups.push(async () => {
    child.kill('SIGKILL')
    await exit
  })
  let log = ''
  child.stdout.on('data', (chunk) => (log += String(chunk)))
  await eventually(() => log.includes('serving the model'))
  return { process: child, port: Number(/"port":(\d+)/.exec(log)?.[1]), exit, log: () => log }
}

/** A client as most are: it keeps its connections, and takes a new one when the server says so. */
function keptAlivePost(port: number, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    const asking = request(
      { host: '127.0.0.1', port, agent, method: 'POST', path: '/predict', timeout: 5_000 },
      (response) => {
        response.resume().on('end', () => resolve(response.statusCode ?? 0))
      },
    )
    asking.on('error', reject).end(JSON.stringify({ features: row }))
  })
}

describe('SIGTERM', () => {
  test('loses no request of clients that go on sending until they are told to leave', async () => {
    const { process: child, port, exit } = await program('--drain-grace-seconds=1')
    const agent = new Agent({ keepAlive: true })
    cleanups.push(() => agent.destroy())
    let isLeaving = false
    const statuses: number[] = []
    const failures: unknown[] = []
    const clients = Array.from({ length: 8 }, async () => {
      while (!isLeaving) {
        await keptAlivePost(port, agent).then(
          (status) => statuses.push(status),
          (error: unknown) => failures.push(error),
        )
      }
    })
    await eventually(() => statuses.length > 200)
    child.kill('SIGTERM')
    await eventually(async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status === 503)
    const before = statuses.length
    await eventually(() => statuses.length > before + 500)
    isLeaving = true
    await Promise.all(clients)
    expect(failures).toEqual([])
    expect(new Set(statuses)).toEqual(new Set([200]))
    expect(await exit).toBe(0)
  })

  test('ends connections with their next answer, and silent ones after a grace', async () => {
    const { process: child, port } = await program('--drain-grace-seconds=1')
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    cleanups.push(() => agent.destroy())
    await keptAlivePost(port, agent)
    const silent = connect(port, '127.0.0.1')
    await once(silent, 'connect')
    const silentClosed = once(silent, 'close')
    child.kill('SIGTERM')
    await eventually(async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).headers.get('connection') === 'close')
    // The connection from before is still good for one request, and then it is closed.
    expect(await keptAlivePost(port, agent)).toBe(200)
    expect(Object.keys(agent.freeSockets)).toEqual([])
    silent.resume()
    await silentClosed
  })

  test('is not held up by probes and scrapes, which never end', async () => {
    const { process: child, port, exit } = await program('--drain-grace-seconds=1', '--drain-seconds=600')
    const agent = new Agent({ keepAlive: true })
    cleanups.push(() => agent.destroy())
    await keptAlivePost(port, agent)
    child.kill('SIGTERM')
    let isGone = false
    void exit.then(() => (isGone = true))
    while (!isGone) {
      await Promise.all(
        ['/readyz', '/livez', '/penstock/evidence'].map((path) =>
          fetch(`http://127.0.0.1:${port}${path}`).catch(() => undefined),
        ),
      )
    }
    expect(await exit).toBe(0)
  })

  test('is obeyed at once when it comes twice', async () => {
    const { process: child, port, exit } = await program()
    child.kill('SIGTERM')
    await eventually(async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).status === 503)
    child.kill('SIGTERM')
    expect(await exit).toBe(1)
  })
})

describe('a model that never ends a run', () => {
  test('is answered for in the client’s time, leaves health checks alone, and is started anew', async () => {
    const { port, exit, log } = await programWith('rounds', '--model-thread=always', '--run-limit-seconds=3')
    const url = `http://127.0.0.1:${port}`
    const endless = post(`${url}/predict`, { features: [1e15] })
    const impatient = await post(`${url}/predict`, { features: [1] }, { timeout: '100ms' })
    expect([impatient.status, impatient.json]).toMatchObject([503, { error: { code: 'deadline_exceeded' } }])
    expect((await fetch(`${url}/livez`)).status).toBe(200)
    expect([(await endless).status, (await endless).json]).toMatchObject([500, { error: { code: 'model_failed' } }])
    // It ends by a signal, as nothing else ends a thread that computes.
    expect(await exit).toBeNull()
    expect(log()).toContain('took longer than 3 s')
  })
})
