import { parseDuration } from "../../base/duration.ts";
import { type Flag, integer, parsed, text, toggle } from "../flag.ts";
import type { Arguments } from "../grammar.ts";

const ANNOTATION = "dev.tiffin";

/** Nanoseconds; a health check's times fit a double. */
const duration = {
  type: "duration",
  initial: 0,
  parse: (value: string): number => Number(parseDuration(value)),
};

const FLAGS = {
  healthCmd: text("health-cmd", "Command to run to check health"),
  healthInterval: parsed(
    "health-interval",
    "Time between running the check (ms|s|m|h) (default 0s)",
    duration,
  ),
  healthRetries: integer("health-retries", "Consecutive failures needed to report unhealthy"),
  healthStartInterval: parsed(
    "health-start-interval",
    "Time between running the check during the start period (ms|s|m|h) (default 0s)",
    duration,
  ),
  healthStartPeriod: parsed(
    "health-start-period",
    "Start period for the container to initialize before starting health-retries countdown (ms|s|m|h) (default 0s)",
    duration,
  ),
  healthTimeout: parsed(
    "health-timeout",
    "Maximum time to allow one check to run (ms|s|m|h) (default 0s)",
    duration,
  ),
  healthHttp: text(
    "health-http",
    "Check health by HTTP from inside of the container's network, without a process there: [ADDRESS]:PORT[/PATH]; 200 to 399 is healthy",
  ),
  healthTcp: text(
    "health-tcp",
    "Check health by a TCP connection from inside of the container's network, without a process there: [ADDRESS:]PORT",
  ),
  onUnhealthy: text(
    "on-unhealthy",
    'What to do with a container that turns unhealthy ("restart", "stop", "kill")',
  ),
  noHealthcheck: toggle("no-healthcheck", "Disable any container-specified HEALTHCHECK"),
} as const;

/** The options about health checks. */
export const HEALTH_FLAGS: readonly Flag[] = Object.values(FLAGS) as readonly Flag[];

/** Config.Healthcheck, when one of them is given. @throws in docker's words */
export function healthConfig(given: Arguments): { Healthcheck?: Record<string, unknown> } {
  const times = {
    Interval: given.get(FLAGS.healthInterval),
    Timeout: given.get(FLAGS.healthTimeout),
    StartPeriod: given.get(FLAGS.healthStartPeriod),
    StartInterval: given.get(FLAGS.healthStartInterval),
    Retries: given.get(FLAGS.healthRetries),
  };
  const command = given.get(FLAGS.healthCmd);
  const isOwn = given.get(FLAGS.healthHttp) !== "" || given.get(FLAGS.healthTcp) !== "";
  const isSet = command !== "" || isOwn || Object.values(times).some((time) => time !== 0);
  if (given.get(FLAGS.noHealthcheck)) {
    if (isSet) throw new Error("--no-healthcheck conflicts with --health-* options");
    return { Healthcheck: { Test: ["NONE"] } };
  }
  if (!isSet) return {};
  checkNotNegative(given);
  const test = command === "" ? {} : { Test: ["CMD-SHELL", command] };
  const set = Object.entries(times).filter(([, time]) => time !== 0);
  return { Healthcheck: { ...test, ...Object.fromEntries(set) } };
}

/** What docker has no fields for goes as annotations (docs/reference/api.md). */
export function healthAnnotations(given: Arguments): Record<string, string> {
  const checks = { http: given.get(FLAGS.healthHttp), tcp: given.get(FLAGS.healthTcp) };
  const all = [given.get(FLAGS.healthCmd), checks.http, checks.tcp];
  if (all.filter((check) => check !== "").length > 1) {
    throw new Error("only one of --health-cmd, --health-http and --health-tcp can be given");
  }
  const action = given.get(FLAGS.onUnhealthy);
  return {
    ...(checks.http === "" ? {} : { [`${ANNOTATION}.health-http`]: checks.http }),
    ...(checks.tcp === "" ? {} : { [`${ANNOTATION}.health-tcp`]: checks.tcp }),
    ...(action === "" ? {} : { [`${ANNOTATION}.on-unhealthy`]: action }),
  };
}

function checkNotNegative(given: Arguments): void {
  const { healthInterval, healthTimeout, healthRetries, healthStartPeriod, healthStartInterval } =
    FLAGS;
  const numbers = [
    healthInterval,
    healthTimeout,
    healthRetries,
    healthStartPeriod,
    healthStartInterval,
  ];
  for (const number of numbers) {
    if (given.get(number) < 0) throw new Error(`--${number.name} cannot be negative`);
  }
}
