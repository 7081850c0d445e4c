import { base } from '../../jest.config.js'

/** Model sources: the program against servers of other people. */
export default {
  ...base,
  rootDir: '../..',
  testMatch: ['<rootDir>/test/sources/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
}
