import { base } from '../../jest.config.js'

/** Tests that need Helm. */
export default {
  ...base,
  rootDir: '../..',
  testMatch: ['<rootDir>/test/chart/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
}
