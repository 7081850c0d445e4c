/** Google Cloud Storage by fake-gcs-server, which knows generations but nobody's credentials. */
import { goProgram } from './programs.ts'
import { startServerProcess } from './server-process.ts'

export interface GsServer {
  readonly url: string
  /** Of versioned objects. */
  readonly makeBucket: (name: string) => Promise<void>
  /** @returns its generation */
  readonly put: (bucket: string, name: string, bytes: Buffer) => Promise<string>
  readonly stop: () => Promise<void>
}

export async function startGs(): Promise<GsServer> {
  const { url, stop } = await startServerProcess({
    command: (port) => [
      ...[goProgram('fake-gcs-server'), '-scheme', 'http', '-host', '127.0.0.1', '-port', String(port)],
      ...['-backend', 'memory', '-public-host', `127.0.0.1:${port}`, '-log-level', 'warn'],
    ],
  })
  async function post(path: string, body: string | Uint8Array<ArrayBuffer>): Promise<Record<string, unknown>> {
    const response = await fetch(url + path, { method: 'POST', body })
    if (response.ok) return (await response.json()) as Record<string, unknown>
    throw new Error(`${path}: status ${response.status}`)
  }
  return {
    url,
    stop,
    async makeBucket(name) {
      await post('/storage/v1/b?project=test', JSON.stringify({ name, versioning: { enabled: true } }))
    },
    async put(bucket, name, bytes) {
      const path = `/upload/storage/v1/b/${bucket}/o?uploadType=media&name=${encodeURIComponent(name)}`
      return String((await post(path, new Uint8Array(bytes)))['generation'])
    },
  }
}
