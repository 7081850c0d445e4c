import { gunzip, inflate } from 'node:zlib'
import { ApiError } from '../api-error.ts'
import type { BodyLimits } from './body.ts'

const DECODERS = { gzip: gunzip, 'x-gzip': gunzip, deflate: inflate }

type Coding = keyof typeof DECODERS

/** The coding of a body that can be undone; undefined for one that is as it is, and for others, which are refused where the body is read. */
export function codingOf(contentEncoding: string | undefined): Coding | undefined {
  const coding = contentEncoding?.trim().toLowerCase()
  return coding !== undefined && Object.hasOwn(DECODERS, coding) ? (coding as Coding) : undefined
}

/**
 * Undoes a body's coding. Law: what comes of it has the same limits as a body that came as it is, before a byte of it is made.
 * @returns the body, taken from the budget in place of the coded one, which stays taken when this fails
 * @throws ApiError (as a rejection)
 */
export async function decoded(bytes: Buffer, coding: Coding, { maxBytes, budget }: BodyLimits): Promise<Buffer> {
  if (!budget.take(maxBytes)) {
    const message = 'The server holds as many bytes of requests as it may; try again later.'
    throw new ApiError('overloaded', message, { retryAfterSeconds: 1 })
  }
  try {
    const whole = await undone(bytes, coding, maxBytes)
    budget.giveBack(bytes.length - whole.length)
    return whole
  } finally {
    budget.giveBack(maxBytes)
  }
}

function undone(bytes: Buffer, coding: Coding, maxBytes: number): Promise<Buffer> {
  const options = { maxOutputLength: maxBytes }
  return new Promise((resolve, reject) => {
    DECODERS[coding](bytes, options, (error, whole) => {
      if (error === null) resolve(whole)
      else if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
        const message = `The body is larger than ${maxBytes} bytes when it is decoded; send less at a time.`
        reject(new ApiError('too_large', message))
      } else reject(new ApiError('invalid_request', `The body is not what its content-encoding ${coding} says.`))
    })
  })
}

/** @param rawHeaders name, value, name, value ... */
export function withoutCoding(rawHeaders: readonly string[]): string[] {
  return rawHeaders.filter((_, at) => rawHeaders[at - (at % 2)]?.toLowerCase() !== 'content-encoding')
}
