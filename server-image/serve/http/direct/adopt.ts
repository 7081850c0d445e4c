/**
 * Sockets that read into one buffer.
 *
 * For each piece that comes, node:net allocates 64 KiB, gives back what was not needed, and makes a buffer and an event of the rest: a
 * quarter of all that a small request costs. Its option `onread` spares this, but is only for sockets that one makes, and a server makes
 * its own; so another one is made upon the handle of the accepted one, which is Node's own affair: where there is none, nothing is done.
 */
import { Socket, type SocketConstructorOpts } from 'node:net'

/** What a read brings at most. */
const READ_BYTES = 64 * 1024

/**
 * Makes sockets that share a buffer, which is safe where a read asks for its buffer and fills it in one go, as on Linux and macOS.
 *
 * What is made differs from what was accepted by the reading only, and the accepted one is closed with it.
 * @returns undefined where it cannot be done: what was accepted is as it was then
 */
export function adopter(): (accepted: Socket, onRead: (bytes: Buffer) => boolean) => Socket | undefined {
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES)
  return (accepted, onRead) => {
    const owner = accepted as unknown as { _handle?: { readonly useUserBuffer?: unknown } | null }
    const handle = owner._handle
    if (typeof handle?.useUserBuffer !== 'function' || process.platform === 'win32') return undefined
    owner._handle = null
    const callback = (size: number) => onRead(buffer.subarray(0, size))
    const options = { handle, allowHalfOpen: true, onread: { buffer, callback } }
    return new Socket(options as unknown as SocketConstructorOpts).once('close', () => accepted.destroy())
  }
}
