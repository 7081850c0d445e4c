/** Jest runs the TypeScript sources as native ES modules; @swc/jest only strips the types. */
export default {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '\\.ts$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'es2024' }, module: { type: 'es6' } }],
  },
  testMatch: ['**/*.test.ts'],
  testPathIgnorePatterns: [
    '/node_modules/',
    '/.cache/',
    '/test/chart/',
    '/test/images/',
    '/test/e2e/',
    '/test/clients/',
    '/test/sources/',
    '/kube-only\\.test\\.ts$',
  ],
  modulePathIgnorePatterns: ['/.cache/', '/dist/'],
  maxWorkers: 2,
  testTimeout: 30_000,
}
