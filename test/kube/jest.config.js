import { base, BUNDLED_SERVER, reportersOn } from '../../jest.config.js'

const REAL_API_SERVER = '<rootDir>/test/kube/api-server.ts'

/**
 * The integration tests on a real control plane that `cluster.ts` starts for each file, and the tests that were written against the
 * sandbox's API server on the real one: where the two differ, the sandbox is wrong.
 */
export default {
  ...base,
  rootDir: '../..',
  globalSetup: BUNDLED_SERVER,
  testMatch: [
    '<rootDir>/test/integration/**/*.test.ts',
    '<rootDir>/operator/kube/*integration.test.ts',
    '<rootDir>/sandbox/apiserver/*.test.ts',
    '<rootDir>/test/kube/kube-only.test.ts',
  ],
  testPathIgnorePatterns: ['/node_modules/', '/sandbox-only\\.test\\.ts$'],
  moduleNameMapper: { '(^|/)apiserver\\.ts$': REAL_API_SERVER },
  reporters: reportersOn('a real control plane'),
  globals: { penstockTestCluster: 'kube' },
  maxWorkers: 1,
}
