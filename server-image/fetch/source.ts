/** A located model, from which it and the files beside it are fetched: each from where it is, or all of them out of one archive. */
import { rm } from 'node:fs/promises'
import { FetchError } from './fetch-error.ts'
import { fetchOverHttp } from './http-file.ts'
import { fetchLocalFile } from './local-file.ts'
import type { Archive, HttpLocation, Location } from './location.ts'
import type { Remote } from './persist.ts'
import { FileSink } from './sink.ts'
import { pathBeside } from './sources/object-path.ts'
import { unpackFiles, unpackModel, type Unpacking } from './unpack.ts'

/** What the origin said about the version of the file. */
export interface FetchedVersion {
  /** Names exactly these bytes for good where the source can; else the URI as given. */
  readonly uri: string
  readonly etag?: string
  readonly lastModified?: string
}

/** Is given what fetches the file of that path, beside the model, into a sink. */
export type Receive = (path: string, write: (sink: FileSink) => Promise<void>) => Promise<void>

export interface Source {
  readonly fetchModel: (sink: FileSink) => Promise<Partial<FetchedVersion>>
  /** After the model. @throws FetchError when one of them is not there */
  readonly fetchBeside: (paths: readonly string[], receive: Receive) => Promise<void>
  readonly close: () => Promise<void>
}

export interface SourceOptions {
  readonly remote: Remote
  /** Where the model shall be. */
  readonly out: string
  /** Of all that is fetched. */
  readonly maxBytes: number
}

export function openSource(location: Location, options: SourceOptions): Source {
  return location.kind === 'file' || location.archive === undefined
    ? singleFiles(location, options)
    : archived({ ...location, archive: location.archive }, options)
}

function singleFiles(location: Location, { remote }: SourceOptions): Source {
  return {
    fetchModel: (sink) => fetchOne(location, remote, sink),
    async fetchBeside(paths, receive) {
      for (const path of paths) {
        await receive(path, async (sink) => {
          if (location.beside === undefined) throw standsAlone()
          remote.patience.begin(performance.now())
          const found = await location.beside(path)
          sink.expect(found.digests ?? {})
          await fetchOne(found, remote, sink)
        })
      }
    },
    close: () => Promise.resolve(),
  }
}

function standsAlone(): FetchError {
  return new FetchError(
    'UnsupportedSource',
    'the URI names one object alone, without others beside it; name the file in its folder, or save the model as one file.',
  )
}

/** The archive is whole and the one that its source named before anything is taken out of it. */
function archived(
  location: HttpLocation & { readonly archive: Archive },
  { remote, out, maxBytes }: SourceOptions,
): Source {
  const path = `${out}.archive`
  const unpacking: Unpacking = { path, archive: location.archive, maxBytes, signal: remote.signal }
  let model = ''
  return {
    async fetchModel(sink) {
      const whole = await FileSink.create({ out: path, maxBytes, digests: location.digests ?? {} })
      try {
        const version = await fetchOne(location, remote, whole)
        await whole.seal()
        await whole.place()
        model = await unpackModel(unpacking, sink)
        return version
      } finally {
        await whole.discard()
      }
    },
    fetchBeside(paths, receive) {
      const byMember = new Map(paths.map((each) => [pathBeside(model, each), each]))
      return unpackFiles(unpacking, [...byMember.keys()], (member, write) =>
        receive(byMember.get(member) ?? member, write),
      )
    },
    close: () => rm(path, { force: true }),
  }
}

async function fetchOne(location: Location, remote: Remote, sink: FileSink): Promise<Partial<FetchedVersion>> {
  if (location.kind === 'file') return fetchLocalFile({ path: location.path, sink, signal: remote.signal })
  const head = await fetchOverHttp({ remote, location, sink })
  const pinned = location.uri ?? location.pin?.(head)
  const { etag, 'last-modified': lastModified } = head
  return {
    ...(pinned === undefined ? {} : { uri: pinned }),
    ...(etag === undefined ? {} : { etag }),
    ...(lastModified === undefined ? {} : { lastModified }),
  }
}
