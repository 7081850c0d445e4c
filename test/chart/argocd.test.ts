import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { load } from 'js-yaml'

/** Argo CD's own is of the same version. */
const lua = process.env.LUA ?? 'lua5.1'
const isThere = spawnSync(lua, ['-v']).error === undefined
if (!isThere)
  console.warn('SKIPPED: the health check for Argo CD is not tested, as there is no lua5.1; install it, or set LUA.')
const testWithLua = isThere ? test : test.skip

const file = join(import.meta.dirname, '../../config/argocd/argocd-cm.yaml')
const { data } = load(readFileSync(file, 'utf8')) as { data: Record<string, string> }
const script = data['resource.customizations.health.penstock.dev_ModelDeployment'] ?? ''

function inLua(value: unknown): string {
  if (Array.isArray(value)) return `{${value.map(inLua).join(', ')}}`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  return `{${Object.entries(value)
    .map(([key, each]) => `[${JSON.stringify(key)}] = ${inLua(each)}`)
    .join(', ')}}`
}

/** @returns status and message, as Argo CD gets them */
function healthOf(status: object | undefined): string {
  const resource = { metadata: { generation: 2 }, ...(status !== undefined && { status }) }
  const program = `obj = ${inLua(resource)}
local health = (function() ${script} end)()
io.write(health.status, ": ", health.message)`
  const { stdout, stderr } = spawnSync(lua, ['-'], { input: program, encoding: 'utf8' })
  expect(stderr).toBe('')
  return stdout
}

const condition = (type: string, status: string) => ({ type, status, message: `${type} is ${status}` })
const conditions = (ready: string, stalled: string) => [condition('Ready', ready), condition('Stalled', stalled)]

testWithLua.each([
  ['nobody has looked at yet', undefined, 'Progressing: The operator has not seen this generation yet.'],
  [
    'was changed since',
    { observedGeneration: 1, conditions: conditions('True', 'False') },
    'Progressing: The operator has not seen this generation yet.',
  ],
  ['has no conditions', { observedGeneration: 2 }, 'Progressing: The operator has said nothing yet.'],
  ['serves', { observedGeneration: 2, conditions: conditions('True', 'False') }, 'Healthy: Ready is True'],
  ['is rolled out', { observedGeneration: 2, conditions: conditions('False', 'False') }, 'Progressing: Ready is False'],
  ['needs a person', { observedGeneration: 2, conditions: conditions('False', 'True') }, 'Degraded: Stalled is True'],
  [
    'waits for approval',
    { observedGeneration: 2, conditions: conditions('False', 'False'), held: { by: 'Approval', reason: 'step 2' } },
    'Suspended: step 2',
  ],
])('Argo CD is told of the health of one that %s', (_title, status, health) => {
  expect(healthOf(status)).toBe(health)
})
