/** Whether a model that was fetched can be served, and what it takes and gives. */
import { TERMINATION_MESSAGE_MAX_BYTES, type Resolved } from '../../protocol/resolve.ts'
import { fitContract, jsonBytes } from '../model/contract.ts'
import { ModelError } from '../model/model-error.ts'
import { loadModel } from '../model/session.ts'
import { warmUp } from '../model/warm-up.ts'
import type { FetchResult } from './fetch-model.ts'

/** Loads the model for real and runs it once, so that a bad file fails here and not in a serving pod. */
export async function judge(fetched: FetchResult, log: (line: string) => void): Promise<Resolved> {
  const { uri, path, sha256, sizeBytes, dataSha256 } = fetched
  const model = await loadModel({ path, expectedSha256: sha256 })
  model.notes.forEach(log)
  const warm = warmUp(model)
  model.dispose()
  if (warm.outcome === 'failed') {
    throw new ModelError(
      'InvalidModel',
      `The model loads but does not compute: ${warm.reason}. Check it with onnxruntime in Python and export it again.`,
    )
  }
  log(warm.outcome === 'ran' ? 'The model loads and computes.' : `The model loads; it was not run. ${warm.reason}`)
  const data = dataSha256 === undefined ? {} : { dataSha256 }
  return fitResult({ ok: true, uri, sha256, sizeBytes, ...data, contract: model.contract })
}

/** Cuts the contract so that the whole answer fits a termination message. */
export function fitResult(resolved: Resolved): Resolved {
  const frameBytes = jsonBytes({ ...resolved, contract: {} })
  return { ...resolved, contract: fitContract(resolved.contract, TERMINATION_MESSAGE_MAX_BYTES - frameBytes) }
}
