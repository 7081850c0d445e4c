import { Command } from 'commander'
import { benchOperator } from './operator.ts'

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
await program.parseAsync()
