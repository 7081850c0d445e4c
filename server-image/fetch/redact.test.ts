import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { redactUri } from './redact.ts'

test.each([
  ['https://host/m.onnx', 'https://host/m.onnx'],
  ['https://user:pass@host/m.onnx', 'https://***@host/m.onnx'],
  ['https://host/m.onnx?X-Amz-Signature=abc&x=1', 'https://host/m.onnx?***'],
  ['https://u@host/m#secret', 'https://***@host/m'],
  ['https://a@b@host/m?x#y', 'https://***@host/m?***'],
  ['/plain/path.onnx', '/plain/path.onnx'],
])('%s is shown as %s', (uri, shown) => {
  expect(redactUri(uri)).toBe(shown)
})

test('a secret in the user, the password, the query or the fragment is never shown', () => {
  const secret = fc.stringMatching(/^[A-Za-z0-9]{8,20}$/).map((text) => `S${text}`)
  fc.assert(
    fc.property(secret, fc.constantFrom(0, 1, 2, 3), (hidden, place) => {
      const uri = [
        `https://${hidden}@h/p`,
        `https://u:${hidden}@h/p`,
        `https://h/p?a=1&b=${hidden}`,
        `https://h/p#${hidden}`,
      ][place]
      expect(redactUri(uri ?? '')).not.toContain(hidden)
    }),
  )
})
