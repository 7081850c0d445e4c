import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { basename, join } from 'node:path'
import { ADDRESSES } from './addresses.ts'

const MODELS = join(import.meta.dirname, '../../examples/biopsy/models')

export interface ModelFiles {
  /** Where pods fetch a version. */
  uri(version: string): string
  close(): Promise<void>
}

/** Serves the example's models over HTTP, as a team's file server would. */
export async function serveModelFiles(): Promise<ModelFiles> {
  const server = createServer((request, response) => {
    readFile(join(MODELS, basename(request.url ?? ''))).then(
      (bytes) => response.writeHead(200, { 'content-length': bytes.length }).end(bytes),
      () => response.writeHead(404).end(),
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, ADDRESSES.controlPlane, resolve)
  })
  const { port } = server.address() as { port: number }
  return {
    uri: (version) => `http://${ADDRESSES.controlPlane}:${port}/${version}.onnx`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
