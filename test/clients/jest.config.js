import base from '../../jest.config.js'

/** Public clients of the V2 protocol, in their own language. */
export default {
  ...base,
  rootDir: '../..',
  testMatch: ['<rootDir>/test/clients/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
}
