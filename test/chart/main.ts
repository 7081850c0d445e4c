/** `npm run test:chart`: tests of the chart with the real Helm. Arguments go to Jest. */
import { runSuite } from '../cannot-run.ts'
import { findHelm, findKubectl } from '../kube/binaries.ts'
import { runJest } from '../run-jest.ts'

await runSuite('the chart', async () => {
  const say = (line: string) => console.error(line)
  return runJest('chart', { env: { HELM_BIN: await findHelm({ say }), KUBECTL: await findKubectl({ say }) } })
})
