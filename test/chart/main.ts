/** `npm run test:chart`: tests of the chart with the real Helm. Arguments go to Jest. */
import { findBinaries, findHelm } from '../kube/binaries.ts'
import { CANNOT_RUN, runJest } from '../run-jest.ts'

try {
  const say = (line: string) => console.error(line)
  const HELM_BIN = await findHelm({ say })
  const KUBECTL = (await findBinaries({ say })).kubectl
  process.exitCode = runJest('chart', { env: { HELM_BIN, KUBECTL } })
} catch (error) {
  console.error((error as Error).message)
  process.exitCode = CANNOT_RUN
}
