/** The numbers of evidently.json were made by evidently_numbers.py; `npm run test:monitoring` makes them anew. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { profileJson } from '../../server-image/monitor/profile.ts'
import { makeProfile } from '../../server-image/monitor/run-profile.ts'
import { DEFAULT_MONITORING } from '../../server-image/monitor/settings.ts'
import { get, modelPath, post, startTestServer, type TestServer } from '../../server-image/serve/testing.ts'
import { CASES, SERVED_CASES } from './cases.ts'
import { disagreements, ourDrift, ourQuality, type EvidentlyNumbers } from './judge.ts'

const evidently = JSON.parse(readFileSync(join(import.meta.dirname, 'evidently.json'), 'utf8')) as EvidentlyNumbers

describe('drift is what Evidently calls so', () => {
  test.each(CASES.drift)('$kind: $name', (drift) => {
    const theirs = evidently.drift[drift.name] ?? {}
    expect(Object.keys(theirs).length).toBeGreaterThanOrEqual(3)
    expect(disagreements(ourDrift(drift), theirs)).toEqual([])
  })
})

describe('quality is what scikit-learn calls so', () => {
  test.each(CASES.quality)('$kind: $name', (quality) => {
    const theirs = evidently.quality[quality.name] ?? {}
    expect(Object.keys(theirs).length).toBeGreaterThanOrEqual(2)
    expect(disagreements(ourQuality(quality), theirs)).toEqual([])
  })
})

test('a number that differs, or is missing, is told', () => {
  expect(disagreements({ psi: 0.1 }, { psi: 0.100002, ks: 0.3, none: null })).toHaveLength(2)
})

describe('a server with a profile', () => {
  let dir: string
  let server: TestServer

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'penstock-monitoring-'))
    const sample = join(dir, 'train.csv')
    const header = SERVED_CASES.map(({ name }) => name).join()
    const rows = SERVED_CASES[0]?.reference.map((_, row) => SERVED_CASES.map(({ reference }) => reference[row]).join())
    await writeFile(sample, [header, ...(rows ?? [])].join('\n'))
    const profile = await makeProfile({
      path: sample,
      maxRows: 10_000,
      maxValues: 10_000,
      categorical: [],
      modelPath: modelPath('columns'),
    })
    const profilePath = join(dir, 'profile.json')
    await writeFile(profilePath, profileJson(profile))
    const window = { windowMs: 3_600_000, windowRows: 6000, sampleRows: 6000 }
    server = await startTestServer('columns', { monitoring: { ...DEFAULT_MONITORING, profilePath, window } })
  })

  afterAll(async () => {
    await server.close()
    await rm(dir, { recursive: true })
  })

  test('says of its requests what Evidently says of the same rows', async () => {
    const rows = SERVED_CASES[0]?.current.map((_, row) => SERVED_CASES.map(({ current }) => current[row])) ?? []
    expect((await post(`${server.url}/predict/batch`, { instances: rows.slice(0, 400) })).status).toBe(200)
    for (const features of rows.slice(400)) {
      expect((await post(`${server.url}/predict`, { features })).status).toBe(200)
    }
    const { json } = await get(`${server.url}/penstock/drift`)
    const { features, seen, sampled, driftedShare } = json as {
      features: { name: string; score: number; drifted: boolean; measures: Record<string, number> }[]
      [name: string]: unknown
    }
    expect([seen, sampled]).toEqual([420, 420])
    for (const { name, measures } of features) {
      expect([name, disagreements(measures, evidently.drift[name] ?? {})]).toEqual([name, []])
    }
    expect(features.filter(({ drifted }) => drifted).map(({ name }) => name)).toEqual(['age', 'amount', 'city'])
    expect(driftedShare).toBe(0.75)
    const metrics = await (await fetch(`${server.url}/metrics`)).text()
    expect(metrics).toContain(`ml_feature_drift_score{feature="age"} ${features[0]?.score}`)
    expect(metrics).toContain('penstock_dataset_drift_share 0.75')
    expect(metrics).toContain('penstock_dataset_drifted 1')
    expect(metrics).toMatch(/^penstock_feature_drift\{feature="city",method="chisquare_p_value"\} /m)
    expect(metrics).toMatch(/^penstock_prediction_drift\{method="psi"\} \d/m)
  })
})
