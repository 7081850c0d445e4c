import { base } from '../../jest.config.js'

/** Tests that build container images. */
export default {
  ...base,
  rootDir: '../..',
  testMatch: ['<rootDir>/test/images/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
}
