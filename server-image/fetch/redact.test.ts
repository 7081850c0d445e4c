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
  [
    's3://bucket/m.onnx?versionId=3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY-L',
    's3://bucket/m.onnx?versionId=3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY-L',
  ],
  ['s3://bucket/m.onnx?versionId=1&X-Amz-Signature=abc', 's3://bucket/m.onnx?***'],
  ['gs://bucket/m.onnx#1795464746371747', 'gs://bucket/m.onnx#1795464746371747'],
  ['s3://user:pass@bucket/m.onnx?versionId=1', 's3://***@bucket/m.onnx?***'],
  ['gs://bucket/m.onnx#secret', 'gs://bucket/m.onnx'],
  [
    'az://account/c/m.onnx?versionid=2026-11-23T20:00:00.1234567Z',
    'az://account/c/m.onnx?versionid=2026-11-23T20:00:00.1234567Z',
  ],
  ['az://account/c/m.onnx?sv=2023-11-03&sig=abc', 'az://account/c/m.onnx?***'],
  ['oci://host/org/m:v3@sha256:abc?file=a/m.onnx', 'oci://host/org/m:v3@sha256:abc?file=a/m.onnx'],
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
