import { readFileSync, statSync } from "node:fs";
import { TiffinError } from "../../base/error.ts";
import type { RuntimeProgram } from "../../launch/runtime-plan.ts";
import type { EngineContext } from "../context.ts";
import { findRuntime } from "./find-runtime.ts";

/** What the run directory of a runtime's container holds beside what a supervisor leaves. */
export const RUNTIME_FILES = {
  /** Path of the runtime: whoever finds the directory can ask it to delete the container. */
  program: "runtime",
  config: "config.json",
  process: "process.json",
  pid: "pid",
  log: "runtime.log",
  state: "state",
} as const;

/** @throws invalid-argument in docker's words */
export function runtimeProgram(context: EngineContext, name: string): RuntimeProgram {
  return programAt(context, name, findRuntime(name));
}

export function programAt(context: EngineContext, name: string, path: string): RuntimeProgram {
  const { kind, unified } = context.cgroups.layout;
  return {
    name,
    path,
    environment: runtimeEnvironment(process.env),
    hidden: kind === "hybrid" && unified !== null ? unified : undefined,
  };
}

/** The engine's, as docker's runtimes have dockerd's, without what is addressed to the engine itself. */
function runtimeEnvironment(environment: NodeJS.ProcessEnv): string[] {
  const own = /^(NOTIFY_SOCKET|LISTEN_(FDS|PID|FDNAMES)|TIFFIN_.*)$/;
  return Object.entries(environment)
    .filter(([key, value]) => value !== undefined && !own.test(key))
    .map(([key, value]) => `${key}=${value}`);
}

/** Options that come before a runtime's verb. @param stateOf the run directory of the container, whose state is below it */
export function commonWords(stateOf: string, logDirectory: string): string[] {
  return [
    "--root",
    `${stateOf}/${RUNTIME_FILES.state}`,
    "--log",
    `${logDirectory}/${RUNTIME_FILES.log}`,
    "--log-format",
    "json",
  ];
}

/** The process number that a runtime wrote. @throws internal */
export function readPid(directory: string): number {
  const pid = Number(readFileSync(`${directory}/${RUNTIME_FILES.pid}`, "utf8"));
  if (Number.isInteger(pid) && pid > 1) return pid;
  throw new TiffinError("internal", "The runtime told no process number");
}

/** In what place a runtime's call finds its container's root. It must be no part of a path that the call needs. */
const PLACES = ["/mnt", "/srv", "/media", "/opt", "/home"];

/**
 * A directory that users of a container's ids may search, all the way: within the runtime's call alone it is another one (see
 * RuntimeContainerPlan.place). @throws unavailable
 */
export function rootPlace(needed: readonly string[]): string {
  const isFree = (place: string): boolean =>
    needed.every((path) => path !== place && !path.startsWith(`${place}/`));
  const isOpen = (place: string): boolean => {
    const status = statSync(place, { throwIfNoEntry: false });
    return status?.isDirectory() === true && (status.mode & 0o001) !== 0;
  };
  const place = PLACES.find((path) => isFree(path) && isOpen(path));
  if (place !== undefined) return place;
  throw new TiffinError(
    "unavailable",
    `Cannot find a place for the container's root: none of ${PLACES.join(", ")} can be used`,
    { hint: "Make /mnt, with mode 755" },
  );
}
