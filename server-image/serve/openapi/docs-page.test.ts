import { expect, test } from '@jest/globals'
import { docsPage } from './docs-page.ts'
import { openApiDocument } from './document.ts'
import { describedModel } from './testing.ts'

const EVIL = `<script>alert("x")</script>' onload='&`

test('names never become markup', () => {
  const described = describedModel({ modelName: EVIL, modelVersion: EVIL, revision: EVIL, name: EVIL })
  const html = docsPage(described, openApiDocument(described))
  expect(html).toContain('&#60;script')
  expect(html.match(/<script/g)).toHaveLength(1)
  expect(html).not.toContain(`' onload='`)
})
