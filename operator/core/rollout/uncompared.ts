/**
 * A stable that answers nobody gives nothing to compare with, and must not block its own fix: steps that would compare are skipped.
 * Law: what a person was to decide is not skipped, and neither is a hold or a gate that failed.
 */
import type { StepSpec } from '../../api/resource.ts'

/** Said of a rollout that skipped steps for it. */
export const UNCOMPARED = 'steps were skipped, as no pod of stable answered'

/** @param ahead the steps that are left, the present one included unless it was approved */
export function mayGoUncompared(ahead: readonly StepSpec[]): boolean {
  return !ahead.some((step) => step.approve === true)
}
