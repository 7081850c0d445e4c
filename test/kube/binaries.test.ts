import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { writePrograms } from '../script-programs.ts'
import { findBinaries, findKubectl, findNodeBinaries, KUBERNETES_VERSION } from './binaries.ts'

let dir: string
let cache: string
let path: string | undefined
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'penstock-binaries-'))
  path = process.env.PATH
  // A Go whose every program does nothing.
  const go = 'while [ "$1" != -o ]; do shift; done; echo "#!/bin/sh" > "$2"; chmod +x "$2"'
  process.env.PATH = `${await writePrograms(join(dir, 'go'), { go })}:${path}`
})
beforeEach(() => {
  cache = mkdtempSync(join(dir, 'cache-'))
})
afterAll(() => {
  process.env.PATH = path
  rmSync(dir, { recursive: true, force: true })
})

/** What setup-envtest unpacks, and more. */
function assetsOf(version: string, ...more: readonly string[]): Promise<string> {
  const names = ['etcd', 'kube-apiserver', 'kubectl', ...more]
  const scripts = Object.fromEntries(names.map((name) => [name, `echo "Kubernetes ${version}"`]))
  return writePrograms(join(dir, `assets-${version}-${more.length}`), scripts)
}

const settings = (KUBEBUILDER_ASSETS?: string) => {
  const built: string[] = []
  const env = { KUBEBUILDER_ASSETS, PENSTOCK_KUBE_CACHE: cache }
  return { built, options: { env, say: (line: string) => void built.push(line) } }
}

test('what is in KUBEBUILDER_ASSETS is taken from there, and only the rest is built', async () => {
  const assets = await assetsOf(KUBERNETES_VERSION)
  const { built, options } = settings(assets)
  const found = await findBinaries(options)
  const { 'kube-controller-manager': manager, ...others } = found
  expect(Object.values(others).map(dirname)).toEqual([assets, assets, assets])
  expect(manager.startsWith(cache)).toBe(true)
  expect(built[0]).toContain('building kube-controller-manager from')
  expect(await findBinaries(options)).toEqual(found)
})

test('without KUBEBUILDER_ASSETS all of them are built', async () => {
  const { options } = settings('')
  const found = Object.values(await findBinaries(options))
  expect(found.map((each) => basename(each))).toEqual(['etcd', 'kube-apiserver', 'kube-controller-manager', 'kubectl'])
  expect(found.every((each) => each.startsWith(cache))).toBe(true)
})

test('kubectl is found by itself, whatever its version', async () => {
  const { built, options } = settings(await assetsOf('v1.20.0'))
  expect(await findKubectl(options)).toBe(join(await assetsOf('v1.20.0'), 'kubectl'))
  expect(built).toEqual([])
  const bare = settings()
  expect(basename(await findKubectl(bare.options))).toBe('kubectl')
  expect(bare.built[0]).toContain('building kubectl from')
})

test('an API server of another minor version is refused before anything is built for it', async () => {
  const { built, options } = settings(await assetsOf('v1.34.1'))
  await expect(findBinaries(options)).rejects.toThrow(
    `kube-apiserver v1.34.1 and kube-controller-manager ${KUBERNETES_VERSION} (built here), which do not go together`,
  )
  expect(built).toEqual([])
})

test('a whole control plane of another version is taken, but gets no node of this one', async () => {
  const { options } = settings(await assetsOf('v1.34.1', 'kube-controller-manager'))
  expect(Object.values(await findBinaries(options)).some((each) => each.startsWith(cache))).toBe(false)
  await expect(findNodeBinaries(options)).rejects.toThrow('kubelet')
})
