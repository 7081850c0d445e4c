import base from '../../jest.config.js'

/** The integration tests, on the real control plane that `cluster.ts` starts for each file. */
export default {
  ...base,
  rootDir: '../..',
  testMatch: ['<rootDir>/test/integration/**/*.test.ts'],
  globals: { penstockTestCluster: 'kube' },
  maxWorkers: 1,
}
