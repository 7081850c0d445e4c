import { expect, test } from '@jest/globals'
import { featureDrift } from './drift.ts'
import { profileOf } from './profile-build.ts'
import { reportPage } from './report-page.ts'
import { DEFAULT_MONITORING } from './settings.ts'

const EVIL = `<script>alert("x")</script>' onload='&`

test('names and categories never become markup in a report', () => {
  const profile = profileOf({ name: EVIL, cells: [EVIL, 'b'] })
  const cells = [EVIL, `${EVIL}2`]
  const feature = featureDrift(profile, { cells, weights: [1, 1] }, DEFAULT_MONITORING.rule)
  const html = reportPage(
    { modelName: EVIL, modelVersion: EVIL, revision: EVIL },
    {
      drift: { seen: 2, sampled: 2, features: [feature], driftedShare: 1, drifted: true },
      quality: { count: 0 },
      predictions: { cells, weights: [1, 1] },
      profile: { rows: 2, features: [profile] },
      settings: DEFAULT_MONITORING,
      task: 'classification',
    },
  )
  expect(html).toContain('&#60;script')
  expect(html).not.toMatch(/<script|onload='/)
})

test('a report without a reference says how to make one', () => {
  const html = reportPage(
    { modelName: 'm', modelVersion: '1', revision: 'r' },
    {
      drift: { seen: 0, sampled: 0, features: [] },
      quality: { count: 0 },
      predictions: { cells: [], weights: [] },
      profile: undefined,
      settings: DEFAULT_MONITORING,
      task: undefined,
    },
  )
  expect(html).toContain('penstock-server profile')
})
