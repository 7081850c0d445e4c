/** S3 by moto with one bucket and one user, who is asked for a valid signature like at Amazon's once the bucket is filled. */
import { pythonOf, runScript, startMoto } from './python-programs.ts'
import type { ServerProcess } from './server-process.ts'

export const BUCKET = 'models'

export interface Moto extends ServerProcess {
  /** The user's variables, without the address. */
  readonly keys: { readonly AWS_ACCESS_KEY_ID: string; readonly AWS_SECRET_ACCESS_KEY: string }
  /** From now on keys, signatures and policies are checked. */
  readonly checkKeys: () => Promise<void>
}

export async function startMotoWithBucket(): Promise<Moto> {
  const moto = await startMoto()
  const { accessKeyId, secretAccessKey } = await runScript<{ accessKeyId: string; secretAccessKey: string }>(
    await pythonOf('moto'),
    { name: 'make_bucket', args: [moto.url, BUCKET] },
  )
  return {
    ...moto,
    keys: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
    checkKeys: async () => {
      const headers = { 'content-type': 'text/plain' }
      const response = await fetch(`${moto.url}/moto-api/reset-auth`, { method: 'POST', headers, body: '0' })
      if (!response.ok) throw new Error(`moto does not begin to check keys: status ${response.status}`)
    },
  }
}
