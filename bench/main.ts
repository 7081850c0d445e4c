import { Command } from 'commander'
import { benchOperator } from './operator.ts'

const program = new Command('npm run bench --').description(
  'Prints the figures of Penstock on this machine. Nothing here passes or fails.',
)
program
  .command('operator', { isDefault: true })
  .description('sandbox start, exactness of a split, writes while idle')
  .action(benchOperator)
await program.parseAsync()
