/** The server image's program: fetches a model, tells what it is, profiles its data, serves it. */
import { Command } from 'commander'

/** Loaded when they are asked for: a server has no use for what only a download needs. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import('./serve/command.ts')).serveCommand(),
  fetch: async () => (await import('./fetch/command.ts')).fetchCommand(),
  inspect: async () => (await import('./model/inspect-command.ts')).inspectCommand(),
  profile: async () => (await import('./monitor/profile-command.ts')).profileCommand(),
  healthcheck: async () => (await import('./health/command.ts')).healthCheckCommand(),
}

const asked = process.argv[2] ?? ''
const program = new Command('penstock-server').description('serves one ONNX model')
for (const [name, load] of Object.entries(COMMANDS)) {
  if (name === asked || !Object.hasOwn(COMMANDS, asked)) program.addCommand(await load())
}
program.addHelpText(
  'after',
  `
Examples:
  $ penstock-server fetch --uri=https://example.com/model.onnx --out=models/model.onnx
  $ penstock-server inspect models/model.onnx
  $ penstock-server profile train.csv --model=models/model.onnx --out=profile.json
  $ penstock-server serve --model-dir=models --port=8080`,
)

await program.parseAsync()
