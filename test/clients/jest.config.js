import { base } from '../../jest.config.js'

/** Clients that are not ours: those of the V2 protocol in their own language, and a browser. */
export default {
  ...base,
  rootDir: '../..',
  testMatch: ['<rootDir>/test/clients/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/'],
}
