/** Loaded before a program that may be ended by force: what was compiled for its start is on disk soon, and not only when it ends by itself. */
import { flushCompileCache } from 'node:module'

const STARTED_WITHIN_MS = 2000

setTimeout(flushCompileCache, STARTED_WITHIN_MS).unref()
