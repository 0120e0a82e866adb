import { parseDuration } from "../../base/duration.ts";
import { type Flag, list, parsed, text, toggle } from "../flag.ts";
import type { Arguments } from "../grammar.ts";
import { healthAnnotations } from "./health.ts";
import { toMap } from "./key-values.ts";
import { rateAnnotation } from "./networking.ts";

/** The annotation that carries `--time-offset`, in seconds. */
const TIME_OFFSET_ANNOTATION = "dev.tiffin.time-offset";

/** The annotation that carries `--timeout`, in seconds. */
const TIMEOUT_ANNOTATION = "dev.tiffin.timeout";

const map = { type: "map", shownDefault: "map[]" };

const FLAGS = {
  annotation: list(
    "annotation",
    "Add an annotation to the container (passed through to the OCI runtime)",
    map,
  ),
  cidfile: text("cidfile", "Write the container ID to the file", { local: true }),
  init: toggle(
    "init",
    "Run an init inside the container that forwards signals and reaps processes",
  ),
  logDriver: text("log-driver", "Logging driver for the container"),
  logOpt: list("log-opt", "Log driver options"),
  restart: text("restart", "Restart policy to apply when a container exits", { initial: "no" }),
  rm: toggle(
    "rm",
    "Automatically remove the container and its associated anonymous volumes when it exits",
  ),
  runtime: text("runtime", "Runtime to use for this container"),
  timeout: parsed(
    "timeout",
    "End the container when it has run for so long (ms|s|m|h): as stop does, then its restart policy decides",
    { type: "duration", initial: 0n, parse: parseDuration },
  ),
  timeOffset: parsed(
    "time-offset",
    "Let the container's monotonic and boot-time clocks differ from the host's by a duration (e.g., 24h, -90m): a time namespace",
    { type: "duration", initial: 0n, parse: parseDuration },
  ),
  isolation: text("isolation", "Container isolation technology"),
} as const;

/** The options about the container's life as a whole: restarts, removal, logs, its init, its clocks. */
export const LIFECYCLE_FLAGS: readonly Flag[] = Object.values(FLAGS) as readonly Flag[];

/** Their part of HostConfig. @throws in docker's words */
export function lifecycleConfig(given: Arguments): Record<string, unknown> {
  return {
    ContainerIDFile: given.get(FLAGS.cidfile),
    LogConfig: { Type: given.get(FLAGS.logDriver), Config: logOptions(given) },
    RestartPolicy: restartPolicy(given),
    AutoRemove: given.get(FLAGS.rm),
    ...(given.get(FLAGS.runtime) === "" ? {} : { Runtime: given.get(FLAGS.runtime) }),
    Isolation: given.get(FLAGS.isolation),
    ...(given.has(FLAGS.init) ? { Init: given.get(FLAGS.init) } : {}),
    ...annotations(given),
  };
}

function restartPolicy(given: Arguments): RestartPolicy {
  const policy = parseRestartPolicy(given.get(FLAGS.restart));
  if (given.get(FLAGS.rm) && policy.Name !== "no" && policy.Name !== "") {
    throw new Error("conflicting options: cannot specify both --restart and --rm");
  }
  return policy;
}

interface RestartPolicy {
  readonly Name: string;
  readonly MaximumRetryCount: number;
}

/** `always`, `on-failure:3`. @throws in docker's words */
export function parseRestartPolicy(policy: string): RestartPolicy {
  const [name = "", count] = policy.split(/:(.*)/s);
  if (count !== undefined && name === "") {
    throw new Error("invalid restart policy format: no policy provided before colon");
  }
  if (count !== undefined && count !== "" && !/^[+-]?\d+$/.test(count)) {
    throw new Error("invalid restart policy format: maximum retry count must be an integer");
  }
  return { Name: name, MaximumRetryCount: Number(count ?? 0) };
}

function logOptions(given: Arguments): Record<string, string> {
  const options = given.get(FLAGS.logOpt);
  const driver = given.get(FLAGS.logDriver);
  if (driver === "none" && options.length > 0) {
    throw new Error(`invalid logging opts for driver ${driver}`);
  }
  return toMap(options);
}

function annotations(given: Arguments): { Annotations?: Record<string, string> } {
  const all = toMap(given.get(FLAGS.annotation));
  if (given.has(FLAGS.timeOffset)) {
    all[TIME_OFFSET_ANNOTATION] = String(Number(given.get(FLAGS.timeOffset)) / 1e9);
  }
  Object.assign(all, healthAnnotations(given), timeoutAnnotation(given), rateAnnotation(given));
  return Object.keys(all).length === 0 ? {} : { Annotations: all };
}

function timeoutAnnotation(given: Arguments): Record<string, string> {
  const timeout = given.get(FLAGS.timeout);
  if (timeout < 0n) throw new Error("--timeout cannot be negative");
  return timeout === 0n ? {} : { [TIMEOUT_ANNOTATION]: String(Number(timeout) / 1e9) };
}
