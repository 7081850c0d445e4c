import type { Tensors } from '../../model/tensor.ts'

/** What computes: the model on this thread, or on another one, whose answer is a promise. */
export interface Engine {
  run(feeds: Tensors, outputs?: readonly string[]): Tensors | Promise<Tensors>
}
