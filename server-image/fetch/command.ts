import { Command, InvalidArgumentError } from 'commander'
import { DEFAULT_MAX_BYTES } from './fetch-model.ts'
import { SCHEMES } from './locate.ts'
import { runFetch } from './run-fetch.ts'

interface FetchFlags {
  readonly uri: string
  readonly sha256?: string
  readonly dataSha256?: string
  readonly out: string
  readonly maxBytes: number
  readonly denyPrivate: boolean
  readonly inspect: boolean
  readonly terminationLog?: string
}

/** `fetch`: what init containers and resolve Jobs run. SIGTERM stops it and leaves no partial file. */
export function fetchCommand(): Command {
  return new Command('fetch')
    .description('fetch a model to a path; with --inspect, check that it can be served and tell its contract')
    .requiredOption('--uri <uri>', `where the model is: a plain path, or one of ${SCHEMES.join(', ')}`)
    .requiredOption('--out <path>', 'where the file shall be; data beside it goes to its folder')
    .option('--sha256 <hex>', 'what the file must be')
    .option(
      '--data-sha256 <hex>',
      'what the files beside it that hold its data must be: sha256 of what sha256sum prints',
    )
    .option(
      '--max-bytes <bytes>',
      'what the model and its data may have together; the file itself never more than 2 GiB',
      positiveInteger,
      DEFAULT_MAX_BYTES,
    )
    .option('--deny-private', 'refuse loopback and private addresses too', false)
    .option('--inspect', 'load the model, run it once, and answer with its contract', false)
    .option('--termination-log <path>', 'where the answer is written as JSON of at most 4096 bytes')
    .action(async (flags: FetchFlags) => {
      const stop = new AbortController()
      const onSignal = () => stop.abort()
      process.once('SIGTERM', onSignal).once('SIGINT', onSignal)
      try {
        process.exitCode = await runFetch({
          ...flags,
          env: process.env,
          signal: stop.signal,
          log: (line) => console.error(line),
        })
      } finally {
        process.off('SIGTERM', onSignal).off('SIGINT', onSignal)
      }
    })
}

function positiveInteger(text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new InvalidArgumentError('It must be a whole number above 0.')
}
