import { base } from '../../jest.config.js'

/** Tests on a whole Kubernetes node; they share it, and run one after the other. */
export default {
  ...base,
  rootDir: '../..',
  testMatch: ['<rootDir>/test/e2e/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
  maxWorkers: 1,
}
