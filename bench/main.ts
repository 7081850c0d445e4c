import { Command } from 'commander'
import { wholeNumber } from '../server-image/monitor/flag-values.ts'
import { benchLimits } from './limits.ts'
import { benchOperator } from './operator.ts'
import { benchPeers } from './peers.ts'

const program = new Command('npm run bench --').description(
  'Prints the figures of Penstock on this machine. Nothing here passes or fails.',
)
program
  .command('operator', { isDefault: true })
  .description('sandbox start, exactness of a split, writes while idle')
  .action(benchOperator)
program
  .command('server')
  .description('requests a second of the model server, beside plain express and the bare model')
  .action(async () => {
    await import('./server.ts')
  })
program
  .command('peers')
  .description(
    "requests a second beside FastAPI, MLServer, KServe's server and BentoML, which it installs (needs python3, wrk, taskset, chrt)",
  )
  .option('--rounds <count>', 'times that each is measured', wholeNumber(1, 100), 5)
  .option('--seconds <seconds>', 'how long each time', wholeNumber(1, 600), 5)
  .option('--only <name...>', 'fastapi, mlserver, kserve, bentoml: only these', [])
  .action(benchPeers)
program
  .command('limits')
  .description(
    'the server beside the bare model, without batching, at its start, and beyond saturation (needs wrk, taskset, chrt)',
  )
  .option('--rounds <count>', 'times that each is measured', wholeNumber(1, 100), 5)
  .option('--seconds <seconds>', 'how long each time', wholeNumber(1, 600), 3)
  .action(benchLimits)
program
  .command('all')
  .description('all of them, one after another, as bench/RESULTS.md has them: 5 rounds of 3 s')
  .action(async () => {
    const often = { rounds: 5, seconds: 3 }
    await benchOperator()
    await import('./server.ts')
    await benchPeers({ ...often, only: [] })
    await benchLimits(often)
  })
await program.parseAsync()
