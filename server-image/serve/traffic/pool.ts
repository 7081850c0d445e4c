/** The HTTP client of the relay, to be loaded when there is a peer: a bundler gives a CommonJS package its names only by a static import. */
export { Pool } from 'undici'
