import { readdir, readFile } from 'node:fs/promises'

/** Ends the server of a pod without a warning, as the kernel does when memory is short. The kubelet starts it again in the same pod. */
export async function killServerOf(pod: string): Promise<void> {
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const read = (file: string) => readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => '')
    const isOfPod = (await read('environ')).split('\0').includes(`HOSTNAME=${pod}`)
    if (isOfPod && (await read('cmdline')).includes('server/main.mjs')) return void process.kill(Number(pid), 'SIGKILL')
  }
  throw new Error(`no process of ${pod} serves`)
}
