import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib'
import type { Compressors } from 'hyparquet'
import { ProfileError } from './profile.ts'

type Inflate = (bytes: Uint8Array, options: { maxOutputLength: number }) => Uint8Array

/** What hyparquet cannot do by itself. Law: a page gets no more memory than it declares. */
export const PARQUET_CODECS: Compressors = {
  GZIP: bounded(gunzipSync),
  BROTLI: bounded(brotliDecompressSync),
  ZSTD: bounded(zstdDecompressSync),
  LZ4: refused('LZ4'),
  LZ4_RAW: refused('LZ4'),
  LZO: refused('LZO'),
}

function bounded(inflate: Inflate) {
  return (bytes: Uint8Array, declaredBytes: number) => inflate(bytes, { maxOutputLength: Math.max(1, declaredBytes) })
}

function refused(codec: string) {
  return (): never => {
    throw new ProfileError(`it is compressed by ${codec}; write it with snappy, gzip, zstd, brotli or uncompressed`)
  }
}
