/** The real kubectl against the API server. Where there is no kubectl the tests are skipped, and say so. */
import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startApiServer, type ApiServer } from './apiserver.ts'

const KUBECTL_MS = 20_000

function hasKubectl(): boolean {
  try {
    execFileSync('kubectl', ['version', '--client'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

const present = hasKubectl()
if (!present) console.warn('SKIPPED: there is no kubectl on the PATH, so nothing here is tested with the real one')

let server: ApiServer
let dir: string

beforeAll(async () => {
  server = await startApiServer({ host: '127.0.0.1', port: 0 })
  dir = mkdtempSync(join(tmpdir(), 'kubectl-'))
  writeFileSync(join(dir, 'kubeconfig'), JSON.stringify(server.kubeconfig()))
})

afterAll(async () => {
  rmSync(dir, { recursive: true })
  await server.close()
})

interface Result {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** Runs kubectl with the words of a command line; `input` is its standard input. */
function kubectl(line: string, input = ''): Promise<Result> {
  const env = {
    ...process.env,
    KUBECONFIG: join(dir, 'kubeconfig'),
    KUBECACHEDIR: join(dir, 'cache'),
    EDITOR: 'sed -i s/replicas:.*/replicas:\\ 6/',
  }
  return new Promise((resolve) => {
    const child = execFile('kubectl', line.split(' '), { env, timeout: KUBECTL_MS }, (error, out, err) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? 1 : 0, out, err })
    })
    child.stdin?.end(input)
  })
}

const DEPLOYMENT = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: "nginx:1", env: [{name: A, value: "1"}]}]}
`

const describeWithKubectl = present ? describe : describe.skip

describeWithKubectl('kubectl', () => {
  test('applies, changes and applies again', async () => {
    expect(await kubectl('apply -f -', DEPLOYMENT)).toMatchObject({
      code: 0,
      out: 'deployment.apps/web created\n',
      err: '',
    })
    expect((await kubectl('apply -f -', DEPLOYMENT)).out).toBe('deployment.apps/web unchanged\n')
    expect((await kubectl('apply -f -', DEPLOYMENT.replace('nginx:1', 'nginx:2'))).out).toBe(
      'deployment.apps/web configured\n',
    )
    expect((await kubectl('diff -f -', DEPLOYMENT)).out).toContain('image: nginx:1')
  })

  test('takes over with server-side apply', async () => {
    expect((await kubectl('apply --server-side -f -', DEPLOYMENT)).out).toBe('deployment.apps/web serverside-applied\n')
    await kubectl('scale deployment web --replicas=5')
    const conflict = await kubectl('apply --server-side -f -', DEPLOYMENT)
    expect(conflict.code).toBe(1)
    expect(conflict.err).toContain(
      'Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas',
    )
    expect((await kubectl('apply --server-side --force-conflicts -f -', DEPLOYMENT)).code).toBe(0)
  })

  test('shows objects in every form', async () => {
    expect((await kubectl('get deployments -o wide')).out).toMatch(
      /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE +CONTAINERS +IMAGES +SELECTOR\nweb +0\/2 +0 +0 +\S+ +main +nginx:1 +app=web\n$/,
    )
    expect((await kubectl('get deployment web -o jsonpath={.spec.replicas}')).out).toBe('2')
    expect((await kubectl('get deployments -A -l app=web -o name')).out).toBe('deployment.apps/web\n')
    expect((await kubectl('get namespaces --field-selector metadata.name=default -o name')).out).toBe(
      'namespace/default\n',
    )
    expect((await kubectl('describe deployment web')).out).toContain(
      'RollingUpdateStrategy:  25% max unavailable, 25% max surge',
    )
    expect((await kubectl('get all')).out).toContain('deployment.apps/web')
    expect((await kubectl('get events')).code).toBe(0)
  })

  test('patches in three ways, labels, annotates, edits', async () => {
    const image = async (): Promise<string> =>
      (await kubectl('get deployment web -o jsonpath={.spec.template.spec.containers[*].image}')).out
    await kubectl(
      'patch deployment web -p {"spec":{"template":{"spec":{"containers":[{"name":"main","image":"nginx:3"}]}}}}',
    )
    expect(await image()).toBe('nginx:3')
    await kubectl(
      'patch deployment web --type=json -p [{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"nginx:4"}]',
    )
    expect(await image()).toBe('nginx:4')
    await kubectl('patch deployment web --type=merge -p {"spec":{"paused":true}}')
    expect((await kubectl('get deployment web -o jsonpath={.spec.paused}')).out).toBe('true')
    expect((await kubectl('label deployment web tier=front')).out).toBe('deployment.apps/web labeled\n')
    expect((await kubectl('annotate deployment web note=x')).out).toBe('deployment.apps/web annotated\n')
    expect((await kubectl('edit deployment web')).out).toBe('deployment.apps/web edited\n')
  })

  test('waits, and finds out what there is', async () => {
    expect((await kubectl('wait deployment web --for=jsonpath={.metadata.labels.tier}=front --timeout=5s')).code).toBe(
      0,
    )
    expect((await kubectl('api-resources -o name')).out).toContain('horizontalpodautoscalers.autoscaling')
    expect((await kubectl('explain deployment.spec.strategy')).out).toContain('rollingUpdate')
    expect((await kubectl('auth can-i create deployments')).out).toBe('yes\n')
  })

  test('works with custom resources', async () => {
    const crds = join(import.meta.dirname, '../../crds/modeldeployments.yaml')
    expect((await kubectl(`apply --server-side -f ${crds}`)).code).toBe(0)
    expect(
      (await kubectl('wait --for=condition=Established crd/modeldeployments.penstock.dev --timeout=5s')).code,
    ).toBe(0)
    const model =
      '{"apiVersion":"penstock.dev/v1alpha1","kind":"ModelDeployment","metadata":{"name":"fraud"},"spec":{"model":{"uri":"file:///m.onnx"}}}'
    expect((await kubectl('apply -f -', model)).out).toBe('modeldeployment.penstock.dev/fraud created\n')
    expect((await kubectl('get mdep')).out).toMatch(
      /^NAME +STABLE +CANDIDATE +STEP +WEIGHT +READY +STATUS +AGE\nfraud /,
    )
    expect((await kubectl('explain modeldeployments.spec.model')).out).toContain('sha256\t<string>')
    const typo = await kubectl('apply -f -', model.replace('"spec":{', '"spec":{"modle":1,'))
    expect(typo.err).toContain('strict decoding error: unknown field "spec.modle"')
  })

  test('creates by its own commands', async () => {
    expect((await kubectl('create deployment made --image=nginx:1')).out).toBe('deployment.apps/made created\n')
    expect((await kubectl('create configmap settings --from-literal=a=b')).out).toBe('configmap/settings created\n')
    expect((await kubectl('create namespace team')).out).toBe('namespace/team created\n')
    expect((await kubectl('create secret generic key --from-literal=a=b')).out).toBe('secret/key created\n')
    expect((await kubectl('get configmap settings -o jsonpath={.data.a}')).out).toBe('b')
    expect((await kubectl('get secret key -o jsonpath={.data.a}')).out).toBe('Yg==')
    expect((await kubectl('get deployment made -o jsonpath={.spec.template.spec.containers[0].image}')).out).toBe(
      'nginx:1',
    )
  })

  test('deletes, and says so when there is nothing', async () => {
    expect((await kubectl('delete deployment web')).out).toMatch(
      /^deployment\.apps "web" deleted( from default namespace)?\n$/,
    )
    expect(await kubectl('get deployment web')).toMatchObject({
      code: 1,
      err: 'Error from server (NotFound): deployments.apps "web" not found\n',
    })
  })
})
