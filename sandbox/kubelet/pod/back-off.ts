/**
 * Back-off of restarts and image pulls: the first retry is immediate, the next ones wait `baseMs`, twice that, and so on up to
 * `maxMs`; a container that ran for longer than twice `maxMs` starts from the beginning (kubelet, `--crash-loop` defaults).
 */
export interface BackOffPolicy {
  readonly baseMs: number
  readonly maxMs: number
}

export interface BackOff {
  /** The wait that the next failure earns. */
  readonly delayMs: number
  /** When the last retry began. */
  readonly lastRetryAtMs: number
}

/** The earliest time of the next retry after a failure at `failedAtMs`. */
export function retryAt(backOff: BackOff | undefined, failedAtMs: number, policy: BackOffPolicy): number {
  if (backOff === undefined || isExpired(backOff, failedAtMs, policy)) return failedAtMs
  return failedAtMs + backOff.delayMs
}

/** The back-off after a retry that began at `nowMs`, following a failure at `failedAtMs`. */
export function afterRetry(
  backOff: BackOff | undefined,
  failedAtMs: number,
  nowMs: number,
  policy: BackOffPolicy,
): BackOff {
  if (backOff === undefined || isExpired(backOff, failedAtMs, policy))
    return { delayMs: Math.min(policy.baseMs, policy.maxMs), lastRetryAtMs: nowMs }
  return { delayMs: Math.min(backOff.delayMs * 2, policy.maxMs), lastRetryAtMs: nowMs }
}

function isExpired(backOff: BackOff, failedAtMs: number, policy: BackOffPolicy): boolean {
  return failedAtMs - backOff.lastRetryAtMs > 2 * policy.maxMs
}
