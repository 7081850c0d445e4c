/**
 * How suites that need more than Node end: with the exit code of the tests, with 77 where this machine lacks something, and with 1 after
 * any other failure. CI passes over 77, so nothing may end with it but a thing that is named and can be installed or allowed.
 */

/** Exit code. Not failed, but not run either: this machine lacks something. The Automake convention for skipped tests. */
export const CANNOT_RUN = 77

/** This machine lacks something: a program, a right, a platform. Never what a download, a build or a test says. */
export class CannotRunError extends Error {
  override readonly name = 'CannotRunError'
  readonly lacking: readonly string[]

  /** @param lacking each with its remedy */
  constructor(...lacking: readonly string[]) {
    super(lacking.join('; '))
    this.lacking = lacking
  }
}

/** Whether `error` is that there was no program to start, and not that one of its files was missing. */
export function isNoProgram(error: unknown): boolean {
  const { code, syscall } = error as NodeJS.ErrnoException
  return code === 'ENOENT' && syscall?.startsWith('spawn') === true
}

/** Runs a suite as a program, and sets its exit code. @param what is tested, for the line that says it is skipped */
export async function runSuite(what: string, run: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await run()
  } catch (error) {
    if (error instanceof CannotRunError) {
      console.error([`SKIPPED: ${what} cannot be tested here; this machine lacks`, ...error.lacking].join('\n  '))
      process.exitCode = CANNOT_RUN
    } else {
      console.error(error)
      process.exitCode = 1
    }
  }
}
