import type { ContainerSpec, ContainerState, EndCause } from "./types.ts";

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 60_000;
/** Who ran so long has run well: the next pause is the first one again. */
const GOOD_RUN_MS = 10_000;
/** Pauses differ by up to this part, up or down, so that what fell together does not rise together. */
const JITTER = 0.1;

export type RestartPolicy = ContainerSpec["restartPolicy"];

/** What a container's state keeps of its earlier restarts. */
export type RestartHistory = Pick<ContainerState, "restartCount" | "backoffMs">;

/** How a run ended. */
export interface RunEnd {
  readonly exitCode: number;
  readonly ranMs: number;
  readonly cause: EndCause;
}

/** What follows: nothing, or a start after a pause. */
export type NextStep =
  | { readonly action: "stay" }
  | ({ readonly action: "restart"; readonly delayMs: number } & RestartHistory);

/**
 * What follows the end of a run, by docker's rules (moby, restartmanager): what a user ended stays ended; else the policy
 * decides. The pause doubles from 100 ms to a minute, and starts anew after ten seconds of running.
 *
 * @param random 0 to 1: where in the jitter the pause lies
 */
export function afterRun(
  policy: RestartPolicy,
  history: RestartHistory,
  end: RunEnd,
  random: number = Math.random(),
): NextStep {
  if (end.cause === "user-restart") {
    return { action: "restart", delayMs: 0, restartCount: 0, backoffMs: 0 };
  }
  const isWanted = end.cause === "unhealthy-restart" || isRestarted(policy, history, end);
  if (!isWanted) return { action: "stay" };
  return restart(end.ranMs >= GOOD_RUN_MS ? { ...history, backoffMs: 0 } : history, random);
}

/**
 * What follows a restart that failed before the container's program ran. It counts as a failed run, but for a machine that
 * has no space or memory now: that says nothing about the container.
 */
export function afterFailedRestart(
  policy: RestartPolicy,
  history: RestartHistory,
  failure: { readonly exitCode: number; readonly isExhausted: boolean },
  random: number = Math.random(),
): NextStep {
  if (failure.isExhausted) {
    return { ...restart(history, random), restartCount: history.restartCount };
  }
  const end = { exitCode: failure.exitCode, ranMs: 0, cause: "" } as const;
  return isRestarted(policy, history, end) ? restart(history, random) : { action: "stay" };
}

/** Whether a container that has ended is started by an engine that starts (docker's rules of a daemon's start). */
export function comesBack(policy: RestartPolicy, cause: EndCause): boolean {
  if (policy.name === "always") return true;
  return policy.name === "unless-stopped" && cause !== "user" && cause !== "unhealthy-stop";
}

function isRestarted(policy: RestartPolicy, history: RestartHistory, end: RunEnd): boolean {
  if (end.cause === "user" || end.cause === "unhealthy-stop") return false;
  if (policy.name === "always" || policy.name === "unless-stopped") return true;
  if (policy.name !== "on-failure" || end.exitCode === 0) return false;
  const { maximumRetryCount } = policy;
  return maximumRetryCount === 0 || history.restartCount < maximumRetryCount;
}

function restart(
  { restartCount, backoffMs }: RestartHistory,
  random: number,
): Extract<NextStep, { action: "restart" }> {
  const next = Math.min(Math.max(backoffMs * 2, FIRST_DELAY_MS), LONGEST_DELAY_MS);
  const jittered = Math.round(next * (1 - JITTER + 2 * JITTER * random));
  return {
    action: "restart",
    delayMs: Math.min(jittered, LONGEST_DELAY_MS),
    backoffMs: next,
    restartCount: restartCount + 1,
  };
}
