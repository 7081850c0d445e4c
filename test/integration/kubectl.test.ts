import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createPlace, exampleModel, serves, type Place } from './place.ts'

const run = promisify(execFile)

/** kubectl is the tool that users hold in their hands, so it is tested where it is installed. */
const hasKubectl = (() => {
  try {
    execFileSync('kubectl', ['version', '--client'], { stdio: 'ignore' })
    return true
  } catch {
    console.warn('kubectl is not installed: its tests are skipped')
    return false
  }
})()

/** The only row of a table, by the names of its columns. */
function rowOf(table: string): Readonly<Record<string, string>> {
  const [header = '', row = ''] = table.trimEnd().split('\n')
  const columns = [...header.matchAll(/\S+\s*/g)]
  return Object.fromEntries(
    columns.map(({ 0: cell, index }, at) => [
      cell.trim(),
      row.slice(index, at === columns.length - 1 ? undefined : index + cell.length).trim(),
    ]),
  )
}

const manifest = (version: 'v1' | 'v2') => `
apiVersion: penstock.dev/v1alpha1
kind: ModelDeployment
metadata: {name: biopsy}
spec:
  model: {uri: "${exampleModel(version)}", version: ${version}}
  scaling: {replicas: 1}
  service: {port: 8000}
`

;(hasKubectl ? describe : describe.skip)('kubectl', () => {
  let place: Place
  let dir: string
  beforeAll(async () => {
    place = await createPlace()
    dir = mkdtempSync(join(tmpdir(), 'penstock-kubectl-'))
  }, 60_000)
  afterAll(async () => {
    await place.close()
    rmSync(dir, { recursive: true, force: true })
  }, 60_000)

  /** Runs kubectl as a user would; what it prints on failure is in the error. */
  async function kubectl(...args: string[]): Promise<string> {
    const { stdout } = await run('kubectl', [
      '--kubeconfig',
      place.kubeconfigPath,
      '--cache-dir',
      join(dir, 'cache'),
      ...args,
    ])
    return stdout
  }

  async function apply(version: 'v1' | 'v2', ...flags: string[]): Promise<string> {
    const file = join(dir, 'biopsy.yaml')
    writeFileSync(file, manifest(version))
    return kubectl('apply', '-f', file, ...flags)
  }

  test('applies, waits, shows, explains, scales, describes, reads logs and deletes', async () => {
    expect(await apply('v1')).toBe('modeldeployment.penstock.dev/biopsy created\n')
    expect(await kubectl('wait', '--for=condition=Ready', '--timeout=60s', 'mdep/biopsy')).toContain('condition met')
    const [header, row] = (await kubectl('get', 'mdep')).trim().split('\n')
    expect(header?.split(/\s{2,}/)).toEqual(['NAME', 'STABLE', 'CANDIDATE', 'STEP', 'WEIGHT', 'READY', 'STATUS', 'AGE'])
    expect(row).toMatch(/^biopsy\s+v1\s+True\s+Serving\s+\d+s$/)
    expect(await apply('v1')).toBe('modeldeployment.penstock.dev/biopsy unchanged\n')

    expect(await kubectl('get', 'all')).toMatch(/modeldeployment\.penstock\.dev\/biopsy/)
    expect(await kubectl('explain', 'modeldeployments.spec.rollout.minSamples')).toContain(
      'Requests that the candidate must have answered',
    )
    expect(await kubectl('scale', 'mdep/biopsy', '--replicas=2')).toContain('scaled')
    await place.until('biopsy', 'two pods', (status) => status.stable?.readyReplicas === 2)

    const described = await kubectl('describe', 'mdep', 'biopsy')
    expect(described).toContain('Serving')
    expect(described).toMatch(/Promoted/)
    const pod = (await kubectl('get', 'pods', '-o', 'name')).split('\n')[0] ?? ''
    expect(await kubectl('logs', pod, '-c', 'server')).toContain('serving the model')

    expect(await apply('v2', '--server-side', '--force-conflicts')).toContain('serverside-applied')
    await place.until('biopsy', 'v2 to serve', (status) => status.stable?.version === 'v2')
    expect(await kubectl('delete', 'mdep', 'biopsy')).toContain('deleted')
    await expect(kubectl('get', 'mdep', 'biopsy')).rejects.toThrow('NotFound')
  }, 180_000)

  test('shows candidate, step and weight in the middle of a rollout', async () => {
    await place.apply('shown', { model: { uri: exampleModel('v1'), version: 'v1' } })
    await place.until('shown', 'v1 to serve', serves('v1'))
    const rollout = { steps: [{ weight: 20, hold: '1h' }] }
    await place.apply('shown', { model: { uri: exampleModel('v2'), version: 'v2' }, rollout })
    await place.until('shown', 'the first step', (status) => status.rollout?.phase === 'Shifting')
    const row = rowOf(await kubectl('get', 'mdep', 'shown'))
    expect(row).toMatchObject({ STABLE: 'v1', CANDIDATE: 'v2', WEIGHT: '20', STATUS: expect.stringMatching(/./) })
    expect(row.STEP).toMatch(/^\d/)
    await kubectl('delete', 'mdep', 'shown')
  }, 90_000)

  test('scales what has neither scaling nor autoscaling, and is refused where an autoscaler decides', async () => {
    await place.apply('plain', { model: { uri: exampleModel('v1'), version: 'v1' } })
    expect(await kubectl('scale', 'mdep/plain', '--replicas=2')).toContain('scaled')
    expect((await place.read('plain')).spec.scaling).toEqual({ replicas: 2 })
    await place.apply('elastic', { model: { uri: exampleModel('v1') }, autoscaling: { maxReplicas: 3 } })
    const scaling = kubectl('scale', 'mdep/elastic', '--replicas=2')
    await expect(scaling).rejects.toThrow('or spec.autoscaling, not both')
    expect((await place.read('elastic')).spec.scaling).toBeUndefined()
    await kubectl('delete', 'mdep', 'plain', 'elastic')
  }, 60_000)

  test('is told what is wrong, with the name of the field', async () => {
    const file = join(dir, 'wrong.yaml')
    writeFileSync(file, manifest('v1').replace('replicas: 1', 'replicas: -1'))
    await expect(kubectl('apply', '-f', file)).rejects.toThrow('spec.scaling.replicas: Invalid value')
    writeFileSync(file, manifest('v1').replace('scaling:', 'scalling:'))
    await expect(kubectl('apply', '-f', file)).rejects.toThrow('unknown field "spec.scalling"')
  })
})
