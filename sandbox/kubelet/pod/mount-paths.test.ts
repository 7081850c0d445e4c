import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { pathRewriter } from './mount-paths.ts'

const rewrite = pathRewriter([
  { mountPath: '/models', hostPath: '/host/v/models' },
  { mountPath: '/models/extra/', hostPath: '/host/v/extra' },
  { mountPath: '/dev/termination-log', hostPath: '/host/c/termination-log.0' },
  { mountPath: '/', hostPath: '/host/root' },
])

describe('pathRewriter', () => {
  test.each([
    ['/models', '/host/v/models'],
    ['/models/', '/host/v/models/'],
    ['/models/model.onnx', '/host/v/models/model.onnx'],
    ['--model-dir=/models', '--model-dir=/host/v/models'],
    ['--termination-log=/dev/termination-log', '--termination-log=/host/c/termination-log.0'],
    ['/models/extra/x', '/host/v/extra/x'],
    ['/models/extras', '/host/v/models/extras'],
    ['/opt:/models:/models/extra', '/opt:/host/v/models:/host/v/extra'],
    ['file:///models/model.onnx', 'file:///host/v/models/model.onnx'],
    ['--uri=file:///models/m', '--uri=file:///host/v/models/m'],
    ['cat /models/a > "/models/b"', 'cat /host/v/models/a > "/host/v/models/b"'],
    ['{"dir":"/models"}', '{"dir":"/host/v/models"}'],
    ['/models-old/x', '/models-old/x'],
    ['/models.bak', '/models.bak'],
    ['/data/models', '/data/models'],
    ['s3://models/extra', 's3://models/extra'],
    ['s3://bucket/models/m.onnx', 's3://bucket/models/m.onnx'],
    ['http://host/models', 'http://host/models'],
    ['notfile:///models', 'notfile:///models'],
    ['models/x', 'models/x'],
    ['', ''],
  ])('%s becomes %s', (text, rewritten) => {
    expect(rewrite(text)).toBe(rewritten)
  })

  const segment = fc.stringMatching(/^[a-z0-9_.-]{1,8}$/).filter((text) => text !== '.' && text !== '..')
  const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => `/${parts.join('/')}`)

  test('a path under a mount keeps its tail, and any other path stays as it is', () => {
    fc.assert(
      fc.property(path, path, (mountPath, asked) => {
        const moved = pathRewriter([{ mountPath, hostPath: '/HOST' }])
        expect(moved(mountPath + asked)).toBe(`/HOST${asked}`)
        const isUnder = asked === mountPath || asked.startsWith(`${mountPath}/`)
        expect(moved(asked)).toBe(isUnder ? `/HOST${asked.slice(mountPath.length)}` : asked)
      }),
    )
  })

  test('the deepest of nested mounts wins, in whatever order they are given', () => {
    fc.assert(
      fc.property(path, path, path, fc.boolean(), (outer, inner, tail, isSwapped) => {
        const mounts = [
          { mountPath: outer, hostPath: '/OUTER' },
          { mountPath: outer + inner, hostPath: '/INNER' },
        ]
        const moved = pathRewriter(isSwapped ? mounts.reverse() : mounts)
        expect(moved(`--x=${outer}${inner}${tail}`)).toBe(`--x=/INNER${tail}`)
      }),
    )
  })

  test('a text without a slash is never touched', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!text.includes('/'))
        expect(rewrite(text)).toBe(text)
      }),
    )
  })
})
