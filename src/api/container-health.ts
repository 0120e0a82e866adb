import { invalidArgument } from "../base/error.ts";
import { httpTarget, tcpTarget } from "../engine/health/check-target.ts";
import { isChecked } from "../engine/health/health-policy.ts";
import type {
  ContainerSpec,
  Health,
  HealthCheck,
  HealthStatus,
  UnhealthyAction,
} from "../engine/types.ts";
import type { JsonObject } from "./json-object.ts";

/** Our words about a container's life are annotations, so that any client of docker's API can say them. */
export const lifeAnnotations = {
  healthHttp: "dev.tiffin.health-http",
  healthTcp: "dev.tiffin.health-tcp",
  onUnhealthy: "dev.tiffin.on-unhealthy",
  /** Seconds. */
  timeout: "dev.tiffin.timeout",
} as const;

type LifeFields = Pick<ContainerSpec, "healthcheck" | "onUnhealthy" | "longestRunMs">;

/** `Config.Healthcheck` and our annotations. @throws invalid-argument */
export function readLife(config: JsonObject, annotations: Record<string, string>): LifeFields {
  return {
    healthcheck: readHealthCheck(config.objectOrNull("Healthcheck"), annotations),
    onUnhealthy: readAction(annotations[lifeAnnotations.onUnhealthy] ?? "", config),
    longestRunMs: readTimeout(annotations[lifeAnnotations.timeout] ?? "0"),
  };
}

function readHealthCheck(
  given: JsonObject | null,
  annotations: Record<string, string>,
): HealthCheck | null {
  const own = ownTest(annotations);
  if (given === null && own === null) return null;
  const test = given?.strings("Test") ?? [];
  if (own !== null && test.length > 0) {
    const what = test[0] === "NONE" ? "--no-healthcheck" : "--health-cmd";
    throw invalidArgument(`${what} conflicts with --health-http and --health-tcp`);
  }
  if (test.length > 0 && !["CMD", "CMD-SHELL", "NONE"].includes(test[0] ?? "")) {
    throw invalidArgument(
      `Unknown healthcheck type '${test[0]}' (expected 'CMD', 'CMD-SHELL' or 'NONE')`,
    );
  }
  if (test.length === 1 && test[0] !== "NONE") {
    throw invalidArgument(`Healthcheck of type '${test[0]}' names no command`);
  }
  const retries = given?.integer("Retries") ?? 0;
  if (retries < 0) throw invalidArgument("Retries in Healthcheck cannot be negative");
  return {
    test: own ?? test,
    intervalNano: duration(given, "Interval"),
    timeoutNano: duration(given, "Timeout"),
    startPeriodNano: duration(given, "StartPeriod"),
    startIntervalNano: duration(given, "StartInterval"),
    retries,
  };
}

function ownTest(annotations: Record<string, string>): string[] | null {
  const http = annotations[lifeAnnotations.healthHttp];
  const tcp = annotations[lifeAnnotations.healthTcp];
  if (http !== undefined && tcp !== undefined) {
    throw invalidArgument("--health-http conflicts with --health-tcp");
  }
  if (http !== undefined) {
    httpTarget(http);
    return ["HTTP", http];
  }
  if (tcp === undefined) return null;
  tcpTarget(tcp);
  return ["TCP", tcp];
}

const MINIMUM_NANO = 1_000_000;

/** Nanoseconds, 0 for "not said". @throws invalid-argument in docker's words */
function duration(given: JsonObject | null, field: string): number {
  const nano = given?.integer(field) ?? 0;
  if (nano !== 0 && nano < MINIMUM_NANO) {
    throw invalidArgument(`${field} in Healthcheck cannot be less than 1ms`);
  }
  return nano;
}

const ACTIONS: readonly UnhealthyAction[] = ["", "restart", "stop", "kill"];

function readAction(word: string, config: JsonObject): UnhealthyAction {
  const action = ACTIONS.find((known) => known === word);
  if (action === undefined) {
    throw invalidArgument(
      `invalid --on-unhealthy "${word}"`,
      "Use restart, stop or kill, or leave it out",
    );
  }
  if (action === "restart" && config.object("HostConfig").boolean("AutoRemove")) {
    throw invalidArgument("can't create 'AutoRemove' container that restarts when it is unhealthy");
  }
  return action;
}

function readTimeout(text: string): number {
  if (!/^\d{1,10}(\.\d{1,9})?$/.test(text)) {
    throw invalidArgument(`invalid ${lifeAnnotations.timeout} "${text}": want seconds`);
  }
  return Number(text) * 1000;
}

/** The annotations that say what {@link readLife} read. */
export function formatLifeAnnotations(spec: ContainerSpec): Record<string, string> {
  const [kind, target = ""] = spec.healthcheck?.test ?? [];
  return {
    ...(kind === "HTTP" ? { [lifeAnnotations.healthHttp]: target } : {}),
    ...(kind === "TCP" ? { [lifeAnnotations.healthTcp]: target } : {}),
    ...(spec.onUnhealthy === "" ? {} : { [lifeAnnotations.onUnhealthy]: spec.onUnhealthy }),
    ...(spec.longestRunMs === 0
      ? {}
      : { [lifeAnnotations.timeout]: String(spec.longestRunMs / 1000) }),
  };
}

/** `Config.Healthcheck`; a check of ours is in the annotations, its times are here. */
export function formatHealthCheck(check: HealthCheck): Record<string, unknown> {
  const isOwn = check.test[0] === "HTTP" || check.test[0] === "TCP";
  const fields = {
    Test: isOwn || check.test.length === 0 ? undefined : check.test,
    Interval: check.intervalNano || undefined,
    Timeout: check.timeoutNano || undefined,
    StartPeriod: check.startPeriodNano || undefined,
    StartInterval: check.startIntervalNano || undefined,
    Retries: check.retries || undefined,
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** `State.Health` */
export function formatHealth({ status, failingStreak, log }: Health): Record<string, unknown> {
  return {
    Status: status,
    FailingStreak: failingStreak,
    Log: log.map(({ start, end, exitCode, output }) => ({
      Start: start,
      End: end,
      ExitCode: exitCode,
      Output: output,
    })),
  };
}

/** What filters know it by: "none" without a check. */
export function healthWord(container: {
  spec: ContainerSpec;
  health: Health | null;
}): HealthStatus | "none" {
  return isChecked(container.spec.healthcheck) ? (container.health?.status ?? "none") : "none";
}
