/**
 * Builds the images that `main.ts` asks for, as the first process of a namespace: when it ends, the kernel ends the builder. Arguments:
 * the program that holds the namespaces of pods, and a directory to work in.
 */
import { makeImages } from './images.ts'

const INTERRUPTED = 130

process.stdin.once('end', () => process.exit(INTERRUPTED)).resume()
const [pause, store] = process.argv.slice(2)
if (pause === undefined || store === undefined) throw new Error('build-images.ts is started by main.ts, with two paths')
await makeImages(pause, store)
process.exit()
