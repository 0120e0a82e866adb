import type { Health, HealthCheck, HealthResult, HealthStatus } from "../types.ts";

/** docker's defaults (moby, daemon/health.go). */
const DEFAULT_INTERVAL_MS = 30_000;
const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_START_INTERVAL_MS = 5_000;
const DEFAULT_RETRIES = 3;
const KEPT_RESULTS = 5;

export interface HealthTimes {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly startPeriodMs: number;
  readonly startIntervalMs: number;
  readonly retries: number;
}

export function healthTimes(check: HealthCheck): HealthTimes {
  const milliseconds = (nano: number, usual: number): number => (nano === 0 ? usual : nano / 1e6);
  return {
    intervalMs: milliseconds(check.intervalNano, DEFAULT_INTERVAL_MS),
    timeoutMs: milliseconds(check.timeoutNano, DEFAULT_TIMEOUT_MS),
    startPeriodMs: milliseconds(check.startPeriodNano, 0),
    startIntervalMs: milliseconds(check.startIntervalNano, DEFAULT_START_INTERVAL_MS),
    retries: check.retries <= 0 ? DEFAULT_RETRIES : check.retries,
  };
}

/** Whether there is anything to check. */
export function isChecked(check: HealthCheck | null): check is HealthCheck {
  const [kind = "NONE"] = check?.test ?? [];
  return kind !== "NONE";
}

/** The health at the start of a run; results of earlier runs stay to be looked at, as docker keeps them. */
export function startingHealth(before: Health | null): Health {
  return { status: "starting", failingStreak: 0, log: before?.log ?? [] };
}

/** The pause before the next check: from the start of the run to the first, then from the end of one to the next. */
export function pauseMs(times: HealthTimes, status: HealthStatus, sinceStartMs: number): number {
  const isStarting = status === "starting" && sinceStartMs < times.startPeriodMs;
  return isStarting ? times.startIntervalMs : times.intervalMs;
}

/**
 * The health after a check, by docker's rules: one success is health; `retries` failures in a row are none, and within the
 * start period failures of what never was healthy do not count.
 *
 * @param checkedAtMs when the check began, since the start of the run
 */
export function afterCheck(
  times: HealthTimes,
  before: Health,
  result: HealthResult,
  checkedAtMs: number,
): Health {
  const log = [...before.log, result].slice(-KEPT_RESULTS);
  if (result.exitCode === 0) return { status: "healthy", failingStreak: 0, log };
  if (before.status === "starting" && checkedAtMs < times.startPeriodMs) return { ...before, log };
  const failingStreak = before.failingStreak + 1;
  const status = failingStreak >= times.retries ? "unhealthy" : before.status;
  return { status, failingStreak, log };
}
