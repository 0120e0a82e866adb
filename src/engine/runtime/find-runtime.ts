import { accessSync, constants, statSync } from "node:fs";
import { join } from "node:path";
import { invalidArgument } from "../../base/error.ts";

/** The engine itself: it makes the container, without a runtime between. */
export const OWN_RUNTIME = "tiffin";

/** Programs that speak runc's command line, by the names that users know them by. */
const PROGRAMS: Readonly<Record<string, string>> = {
  runc: "runc",
  crun: "crun",
  youki: "youki",
  runsc: "runsc",
  kata: "kata-runtime",
  // docker's name of its own default.
  "io.containerd.runc.v2": "runc",
};

/** Whether another program than the engine makes a container. */
export function isForeignRuntime(name: string): boolean {
  return name !== "" && name !== OWN_RUNTIME;
}

/**
 * Path of an OCI runtime: of one that is named by its path, itself, else the first of that name in the engine's PATH.
 * @throws invalid-argument in docker's words
 */
export function findRuntime(name: string, environment: NodeJS.ProcessEnv = process.env): string {
  const path = name.startsWith("/") ? executable(name) : inPath(name, environment);
  if (path !== undefined) return path;
  throw invalidArgument(
    `unknown or invalid runtime name: ${name}`,
    name.startsWith("/")
      ? `${name} is no program that can be run`
      : `Install it where the engine finds it (its PATH), or name it by its path: --runtime /usr/local/bin/${/^[\w.-]+$/.test(name) ? name : "runc"}`,
  );
}

/** The runtimes of the host, by name; the engine itself first. */
export function knownRuntimes(
  environment: NodeJS.ProcessEnv = process.env,
): Record<string, { path: string }> {
  const found = Object.keys(PROGRAMS).flatMap((name) => {
    const path = inPath(name, environment);
    return path === undefined || name.includes(".") ? [] : [[name, { path }] as const];
  });
  return { [OWN_RUNTIME]: { path: OWN_RUNTIME }, ...Object.fromEntries(found) };
}

function inPath(name: string, environment: NodeJS.ProcessEnv): string | undefined {
  if (!/^[A-Za-z0-9][\w.+-]*$/.test(name)) return undefined;
  const directories = (environment["PATH"] ?? "").split(":").filter((part) => part.startsWith("/"));
  for (const directory of directories) {
    const path = executable(join(directory, PROGRAMS[name] ?? name));
    if (path !== undefined) return path;
  }
  return undefined;
}

function executable(path: string): string | undefined {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile() ? path : undefined;
  } catch {
    return undefined;
  }
}
