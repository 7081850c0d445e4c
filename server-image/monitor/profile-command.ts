import { writeFile } from 'node:fs/promises'
import { Command, Option } from 'commander'
import { ModelError } from '../model/model-error.ts'
import { wholeNumber } from './flag-values.ts'
import { DEFAULT_MAX_VALUES } from './profile-build.ts'
import { ProfileError, profileJson } from './profile.ts'
import { makeProfile } from './run-profile.ts'
import { SAMPLE_FORMATS, type SampleFormat } from './sample-file.ts'

interface ProfileFlags {
  readonly out?: string
  readonly model?: string
  readonly format?: SampleFormat
  readonly columns?: readonly string[]
  readonly categorical: readonly string[]
  readonly maxRows: number
  readonly maxValues: number
}

const EXAMPLES = `
Examples:
  $ profile train.csv --model=models/model.onnx --out=profile.json
  $ profile train.parquet --columns=age,income,country --categorical=country --out=profile.json
  $ serve --model-dir=models --profile=profile.json`

/** `profile PATH`: the reference that `serve --profile` measures drift against. */
export function profileCommand(): Command {
  return new Command('profile')
    .description('make the reference profile of a sample of training data, to measure drift against')
    .argument('<path>', 'the sample: CSV with a header, JSON Lines or Parquet')
    .option('--out <path>', 'where to write the profile; without it, to the output')
    .option('--model <path>', "a model: its features are the columns, and its answers' distribution goes in")
    .addOption(new Option('--format <format>', "when the sample's name does not tell").choices(SAMPLE_FORMATS))
    .option('--columns <names>', 'only these columns, by commas', names)
    .option('--categorical <names>', 'columns whose numbers are names of things, by commas', names, [])
    .option('--max-rows <rows>', 'rows after these are not read', wholeNumber(1, 10_000_000), 1_000_000)
    .option(
      '--max-values <count>',
      'distinct values that are kept of a number; more are thinned to quantiles',
      wholeNumber(2, 100_000),
      DEFAULT_MAX_VALUES,
    )
    .addHelpText('after', EXAMPLES)
    .action(profile)
}

async function profile(path: string, { model, out, ...flags }: ProfileFlags): Promise<void> {
  try {
    const json = profileJson(await makeProfile({ path, ...flags, ...(model !== undefined && { modelPath: model }) }))
    if (out === undefined) process.stdout.write(json)
    else await writeFile(out, json)
  } catch (error) {
    if (!(error instanceof ProfileError || error instanceof ModelError)) throw error
    console.error(error.message)
    process.exitCode = 1
  }
}

function names(text: string): string[] {
  return text.split(',').map((name) => name.trim())
}
