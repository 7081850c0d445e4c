/** How ONNX Runtime computes one run. */
export interface RunOptions {
  /** Threads that one operator may use; 1 by default, which is the fastest for small models and leaves the other cores to others. */
  readonly intraOpThreads?: number
  /** Operators that are computed at once, which only `parallel` does; then it is ONNX Runtime's own choice by default: the cores it sees. */
  readonly interOpThreads?: number
  /** `sequential` by default, as ONNX Runtime has it. */
  readonly executionMode?: ExecutionMode
}

export const EXECUTION_MODES = ['sequential', 'parallel'] as const
export type ExecutionMode = (typeof EXECUTION_MODES)[number]
