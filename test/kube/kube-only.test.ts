/** What the sandbox does not have: roles, and the admission that asks for them. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { eventually } from '../integration/place.ts'
import { startKubeCluster, type KubeCluster } from './cluster.ts'

const run = promisify(execFile)

let dir: string
let cluster: KubeCluster
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'penstock-kube-only-'))
  cluster = await startKubeCluster({ dir: join(dir, 'cluster'), slot: Number(process.env.JEST_WORKER_ID ?? 1) - 1 })
}, 90_000)
afterAll(async () => {
  await cluster.close()
  rmSync(dir, { recursive: true, force: true })
}, 60_000)

async function kubectl(...args: string[]): Promise<string> {
  const flags = [`--kubeconfig=${cluster.kubeconfigPath}`, `--cache-dir=${join(dir, 'cache')}`]
  const { stdout } = await run('kubectl', [...flags, ...args])
  return stdout.trim()
}

/** kubectl's answer, `yes` or `no`; it ends with 1 after a `no`. */
async function answerTo(user: string, question: readonly string[]): Promise<string> {
  const ask = ['auth', 'can-i', ...question, `--as=${user}`]
  return kubectl(...ask).catch((error: { stdout: string }) => error.stdout.trim())
}

const MDEP = 'modeldeployments.penstock.dev'
const READ = ['get', 'list', 'watch'].map((verb) => [verb, MDEP])
const CHANGE = ['create', 'update', 'patch', 'delete', 'deletecollection'].map((verb) => [verb, MDEP])
const SEE_PARTS = [
  ['get', MDEP, '--subresource=status'],
  ['get', MDEP, '--subresource=scale'],
]
const SCALE = ['update', 'patch'].map((verb) => [verb, MDEP, '--subresource=scale'])
/** Of the operator alone. */
const REPORT = ['update', 'patch'].map((verb) => [verb, MDEP, '--subresource=status'])

describe('whoever has, in one namespace, the built-in role', () => {
  test.each([
    { role: 'view', may: [...READ, ...SEE_PARTS], mayNot: [...CHANGE, ...SCALE, ...REPORT] },
    { role: 'edit', may: [...READ, ...SEE_PARTS, ...CHANGE, ...SCALE], mayNot: REPORT },
    { role: 'admin', may: [...READ, ...SEE_PARTS, ...CHANGE, ...SCALE], mayNot: REPORT },
  ])(
    '$role may do with ModelDeployments there what its name says, and nothing elsewhere',
    async ({ role, may, mayNot }) => {
      const user = `a-user-with-${role}`
      await kubectl('create', 'rolebinding', user, `--clusterrole=${role}`, `--user=${user}`, '--namespace=default')
      // A controller writes the rules into the built-in roles.
      const last = may.at(-1) ?? []
      await eventually(`${role} to have its rules`, async () =>
        (await answerTo(user, [...last, '--namespace=default'])) === 'yes' ? true : undefined,
      )
      const answers = async (questions: readonly (readonly string[])[], namespace: string) => {
        const given: string[] = []
        for (const question of questions) given.push(await answerTo(user, [...question, `--namespace=${namespace}`]))
        return [...new Set(given)]
      }
      expect(await answers(may, 'default')).toEqual(['yes'])
      expect(await answers(mayNot, 'default')).toEqual(['no'])
      expect(await answers(may, 'kube-public')).toEqual(['no'])
    },
    60_000,
  )
})

test('the operator may count an Event that comes again, which tests seldom wait for', async () => {
  const operator = 'system:serviceaccount:penstock-system:penstock'
  expect(await answerTo(operator, ['patch', 'events.events.k8s.io', '--all-namespaces'])).toBe('yes')
})

test('an operator that may not set the finalizers of ModelDeployments may make nothing that blocks their deletion', async () => {
  const role = JSON.parse(await kubectl('get', 'clusterrole/penstock-system:penstock', '--output=json')) as {
    rules: { resources: string[] }[]
  }
  const lesser = role.rules.filter(({ resources }) => !resources.includes('modeldeployments/finalizers'))
  expect(lesser).toHaveLength(role.rules.length - 1)
  const config = (finalizers: boolean) => JSON.stringify({ rules: finalizers ? role.rules : lesser })
  const patch = (text: string) =>
    kubectl('patch', 'clusterrole/penstock-system:penstock', '--type=merge', `--patch=${text}`)
  const owner = await owningModelDeployment()
  await patch(config(false))
  await eventually('the refusal', async () => {
    const said = await makeOwned(owner).then(String, (error: Error) => error.message)
    return said.includes(
      "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on",
    )
      ? true
      : undefined
  })
  await patch(config(true))
  await eventually('the permission', async () =>
    makeOwned(owner).then(
      () => true,
      () => undefined,
    ),
  )
})

async function owningModelDeployment(): Promise<string> {
  const object = {
    apiVersion: 'penstock.dev/v1alpha1',
    kind: 'ModelDeployment',
    metadata: { name: 'owner', namespace: 'default' },
    spec: { model: { uri: 'file:///m.onnx' } },
  }
  await applyAs([], object)
  return kubectl('get', 'mdep/owner', '--namespace=default', '--output=jsonpath={.metadata.uid}')
}

/** As the operator's service account, on trial. */
async function makeOwned(uid: string): Promise<void> {
  const owner = { apiVersion: 'penstock.dev/v1alpha1', kind: 'ModelDeployment', name: 'owner', uid }
  const metadata = {
    name: 'owned',
    namespace: 'default',
    ownerReferences: [{ ...owner, controller: true, blockOwnerDeletion: true }],
  }
  const flags = [`--kubeconfig=${cluster.operatorKubeconfigPath}`, '--dry-run=server', '--server-side']
  await applyAs(flags, { apiVersion: 'v1', kind: 'ConfigMap', metadata })
}

async function applyAs(flags: readonly string[], object: object): Promise<void> {
  const file = join(dir, 'object.json')
  writeFileSync(file, JSON.stringify(object))
  await kubectl('apply', ...flags, `--filename=${file}`)
}
