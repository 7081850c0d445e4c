import { fork, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Random } from './random.ts'

const TESTDATA = join(import.meta.dirname, '../../server-image/model/testdata')
const MAX_BYTES = 4096
const HANGS_AFTER_MS = 20_000

export interface ModelFuzzOptions {
  readonly files: number
  readonly seed: number
}

export type Verdict =
  { readonly outcome: 'served' | 'refused' } | { readonly outcome: 'fault'; readonly message: string }

/** @returns what was found, one line each; the files of crashes are kept where the lines say */
export async function fuzzModels({ files, seed }: ModelFuzzOptions): Promise<string[]> {
  const originals = readdirSync(TESTDATA)
    .filter((name) => name.endsWith('.onnx'))
    .map((name) => readFileSync(join(TESTDATA, name)))
    .filter((bytes) => bytes.length <= MAX_BYTES)
  const dir = mkdtempSync(join(tmpdir(), 'penstock-fuzz-'))
  const path = join(dir, 'model.onnx')
  const random = new Random(seed)
  const counts = { served: 0, refused: 0, fault: 0 }
  const findings: string[] = []
  let opener = startOpener()
  try {
    for (let tried = 1; tried <= files && findings.length < 10; tried += 1) {
      writeFileSync(path, mutated(random, originals))
      const verdict = await open(opener, path)
      counts[verdict.outcome] += 1
      if (verdict.outcome === 'fault') {
        const kept = join(tmpdir(), `penstock-fuzz-${seed}-${tried}.onnx`)
        writeFileSync(kept, readFileSync(path))
        findings.push(`model file ${kept}: ${verdict.message}`)
        opener.kill('SIGKILL')
        opener = startOpener()
      }
      if (tried % Math.max(1, Math.floor(files / 10)) === 0) console.log(`  ${tried} of ${files} model files`)
    }
  } finally {
    opener.kill('SIGKILL')
    rmSync(dir, { recursive: true, force: true })
  }
  console.log(`  served: ${counts.served}, refused: ${counts.refused}, faults: ${counts.fault}`)
  return findings
}

function startOpener(): ChildProcess {
  return fork(join(import.meta.dirname, 'model-opener.ts'), { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
}

function open(opener: ChildProcess, path: string): Promise<Verdict> {
  return new Promise((resolve) => {
    const end = (verdict: Verdict) => {
      clearTimeout(timer)
      opener.off('message', onMessage).off('exit', onExit)
      resolve(verdict)
    }
    const onMessage = (message: unknown) => end(message as Verdict)
    const onExit = (code: number | null, signal: string | null) =>
      end({ outcome: 'fault', message: `the process ended with ${signal ?? `code ${code}`}` })
    const timer = setTimeout(
      () => end({ outcome: 'fault', message: `no verdict within ${HANGS_AFTER_MS / 1000} s` }),
      HANGS_AFTER_MS,
    )
    opener.once('message', onMessage).once('exit', onExit)
    opener.send(path)
  })
}

/** Flips, inserts, removes and repeats bytes, and mixes two files: what a broken transfer or a liar may make. */
function mutated(random: Random, originals: readonly Buffer[]): Buffer {
  let bytes: Buffer = Buffer.from(random.pick(originals))
  if (random.chance(0.5)) {
    // Lengths stay right, so these get deeper.
    for (let times = 1 + random.below(3); times > 0; times -= 1) bytes[random.below(bytes.length)] = random.below(256)
    return bytes
  }
  for (let times = 1 + random.below(6); times > 0; times -= 1) {
    const at = random.below(bytes.length + 1)
    const length = random.below(24)
    const other = random.pick(originals)
    const change = random.pick<() => Buffer>([
      () => Buffer.concat([bytes.subarray(0, at), random.bytes(1), bytes.subarray(at + 1)]),
      () => Buffer.concat([bytes.subarray(0, at), random.bytes(length), bytes.subarray(at)]),
      () => Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]),
      () => Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.max(0, at - length))]),
      () => Buffer.concat([bytes.subarray(0, at), Buffer.from([0xff, 0xff, 0xff, 0xff, 0x7f]), bytes.subarray(at)]),
      () => Buffer.concat([bytes.subarray(0, at), other.subarray(random.below(other.length))]),
      () => bytes.subarray(0, at),
    ])
    bytes = change()
  }
  return bytes
}
