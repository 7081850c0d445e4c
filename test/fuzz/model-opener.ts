/** Opens the model files that it is told of as the server does, and says what became of each. */
import { ModelError } from '../../server-image/model/model-error.ts'
import { loadModel } from '../../server-image/model/session.ts'
import { warmUpModel } from '../../server-image/serve/engine/warm-up.ts'
import type { Verdict } from './model-files.ts'

async function verdictOn(path: string): Promise<Verdict> {
  try {
    const model = await loadModel({ path })
    warmUpModel(model, 1)
    model.dispose()
    return { outcome: 'served' }
  } catch (error) {
    if (error instanceof ModelError) return { outcome: 'refused' }
    return {
      outcome: 'fault',
      message: `no ModelError: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    }
  }
}

process.on('message', (path: string) => {
  void verdictOn(path).then((verdict) => process.send?.(verdict))
})
