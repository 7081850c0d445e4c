/** Loaded before a program that runs from source, so that it starts sooner. */
import { flushCompileCache } from 'node:module'

const STARTED_WITHIN_MS = 2000

// What was compiled for the start of one that may be ended by force is on disk soon, and not only when it ends by itself.
setTimeout(flushCompileCache, STARTED_WITHIN_MS).unref()

// The first module that imports `node:http` reads all that it exports; these exports load Node's whole client of WebSockets and `fetch`.
const http = process.getBuiltinModule('node:http')
for (const name of ['WebSocket', 'CloseEvent', 'MessageEvent']) Object.defineProperty(http, name, { value: undefined })
