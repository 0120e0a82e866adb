import { setTimeout as sleep } from "node:timers/promises";

/** How often something is tried, and how long is waited in between. */
export interface RetryPolicy {
  readonly attempts: number;
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
}

export const DEFAULT_RETRIES: RetryPolicy = {
  attempts: 5,
  firstPauseMs: 250,
  longestPauseMs: 20_000,
};

/** An attempt that failed in a way that may pass. `pauseMs` is what the other side asked for. */
export class Passing extends Error {
  readonly pauseMs: number | undefined;

  constructor(cause: unknown, pauseMs?: number) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.pauseMs = pauseMs;
  }
}

/** Runs `attempt` until it does not fail with {@link Passing}; then, or at the last attempt, throws the cause. */
export async function withRetries<Result>(
  attempt: () => Promise<Result>,
  policy: RetryPolicy,
  signal: AbortSignal | undefined,
): Promise<Result> {
  for (let number = 1; ; number++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof Passing)) throw error;
      if (number >= policy.attempts) throw error.cause;
      await sleep(pauseBefore(number, error.pauseMs, policy), undefined, { signal });
    }
  }
}

/** Twice as long each time, with jitter, so that many clients do not come back at once; never less than was asked for. */
export function pauseBefore(
  attempt: number,
  askedMs: number | undefined,
  policy: RetryPolicy,
  random: number = Math.random(),
): number {
  const doubled = Math.min(policy.firstPauseMs * 2 ** (attempt - 1), policy.longestPauseMs);
  const jittered = doubled * (0.5 + random / 2);
  return Math.min(Math.max(jittered, askedMs ?? 0), policy.longestPauseMs);
}

/** `Retry-After` in milliseconds: seconds or a date (RFC 9110, section 10.2.3). Undefined when it says nothing. */
export function retryAfterMs(field: string | null, now: number = Date.now()): number | undefined {
  if (field === null) return undefined;
  if (/^\d+$/.test(field.trim())) return Number(field) * 1000;
  const date = Date.parse(field);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
