import { Command } from 'commander'
import { runInspect } from './run-inspect.ts'

/** `inspect PATH`: what a model is and what the server makes of it, without running it. */
export function inspectCommand(): Command {
  return new Command('inspect')
    .description("show a model's inputs, outputs and operators, and how it would be served")
    .argument('<path>', 'the .onnx file')
    .option('--json', 'print JSON', false)
    .action(async (path: string, flags: { readonly json: boolean }) => {
      process.exitCode = await runInspect({
        path,
        json: flags.json,
        print: (line) => console.log(line),
        complain: (line) => console.error(line),
      })
    })
}
