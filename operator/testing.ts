/** For tests only: a cluster in which nothing is, and a scraper to whom nobody answers. */
import type { Scraper } from './evidence/scraper.ts'
import type { CachedChildren } from './observe.ts'

export const NO_CHILDREN: CachedChildren = {
  deployments: [],
  services: [],
  jobs: [],
  pods: [],
  endpointSlices: [],
  controllerRevisions: [],
  configMaps: [],
}

export const SILENT_SCRAPER: Scraper = { read: () => Promise.resolve(new Map()), close: () => undefined }
