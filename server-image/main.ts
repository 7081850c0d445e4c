/** The server image's program: fetches a model, tells what it is, profiles its data, serves it. */
import { Command } from 'commander'
import { fetchCommand } from './fetch/command.ts'
import { inspectCommand } from './model/inspect-command.ts'
import { profileCommand } from './monitor/profile-command.ts'
import { serveCommand } from './serve/command.ts'

const program = new Command('penstock-server')
  .description('serves one ONNX model')
  .addCommand(serveCommand())
  .addCommand(fetchCommand())
  .addCommand(inspectCommand())
  .addCommand(profileCommand())
  .addHelpText(
    'after',
    `
Examples:
  $ penstock-server fetch --uri=https://example.com/model.onnx --out=models/model.onnx
  $ penstock-server inspect models/model.onnx
  $ penstock-server profile train.csv --model=models/model.onnx --out=profile.json
  $ penstock-server serve --model-dir=models --port=8080`,
  )

await program.parseAsync()
