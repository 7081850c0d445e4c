import { describe, expect, test } from '@jest/globals'
import { addressPolicy, guardedLookup, refuseDeniedHost } from './address-policy.ts'
import { FetchError } from './fetch-error.ts'

const open = addressPolicy(false)
const strict = addressPolicy(true)

describe('always denied', () => {
  test.each([
    '169.254.169.254',
    '169.254.0.1',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    'fe80::1',
    'fd00:ec2::254',
    'fd00:ec2::23',
    'fd20:ce::254',
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    '::169.254.169.254',
    '64:ff9b::a9fe:a9fe',
    '2002:a9fe:a9fe::1',
    '224.0.0.1',
    '255.255.255.255',
    'not an address',
  ])('%s', (address) => {
    expect(open.allows(address)).toBe(false)
    expect(strict.allows(address)).toBe(false)
  })
})

describe('denied on demand', () => {
  test.each([
    '127.0.0.1',
    '127.16.3.4',
    '0.0.0.0',
    '10.96.0.1',
    '172.16.0.1',
    '192.168.1.1',
    '100.64.0.1',
    '::1',
    '::',
    'fd12::1',
    '::ffff:10.0.0.1',
    '64:ff9b::7f00:1',
  ])('%s', (address) => {
    expect(open.allows(address)).toBe(true)
    expect(strict.allows(address)).toBe(false)
  })
})

test.each(['8.8.8.8', '172.32.0.1', '169.253.255.255', '2606:4700::1111', '::ffff:8.8.8.8'])(
  '%s is never denied',
  (address) => {
    expect(open.allows(address)).toBe(true)
    expect(strict.allows(address)).toBe(true)
  },
)

test.each(['http://169.254.169.254/', 'http://2852039166/', 'http://0251.0376.0251.0376/', 'http://[fe80::1]/'])(
  'a literal address is judged in any notation: %s',
  (url) => {
    expect(() => refuseDeniedHost(open, new URL(url))).toThrow(FetchError)
    expect(() => refuseDeniedHost(open, new URL('http://example.com/'))).not.toThrow()
  },
)

test('a name is judged by what it resolves to', async () => {
  const lookup = (policy: typeof open, all: boolean) =>
    new Promise((resolve) => guardedLookup(policy)('localhost', { all }, (error, address) => resolve(error ?? address)))
  await expect(lookup(strict, true)).resolves.toBeInstanceOf(FetchError)
  await expect(lookup(strict, false)).resolves.toMatchObject({ reason: 'Forbidden' })
  await expect(lookup(open, false)).resolves.toMatch(/^(127\.0\.0\.1|::1)$/)
})
