import { COMPILED } from './sandbox/programs.ts'

// Programs that tests start, and Jest's own workers, find there what they compiled before.
process.env.NODE_COMPILE_CACHE ??= COMPILED

/** @param {string} place what the tests of the API and of the operator run on */
export function reportersOn(place) {
  return ['default', ['<rootDir>/test/conformance-reporter.ts', { place }]]
}

/** For tests whose pods are processes. */
export const BUNDLED_SERVER = '<rootDir>/test/bundled-server.ts'

/** Jest runs the TypeScript sources as native ES modules; @swc/jest only strips the types. */
export const base = {
  testEnvironment: '<rootDir>/test/environment.ts',
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
  reporters: reportersOn('the sandbox'),
  testSequencer: '<rootDir>/test/sequencer.ts',
  // More than the two processors that they are meant for: tests of clusters mostly wait.
  maxWorkers: 4,
  testTimeout: 30_000,
}

export default {
  ...base,
  globalSetup: BUNDLED_SERVER,
  // A worker keeps something of each file that it ran, and the more it has to look through the slower it becomes.
  workerIdleMemoryLimit: '250MB',
}
