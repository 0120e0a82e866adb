import { posix } from "node:path";
import { failure } from "./failure.ts";

/**
 * Paths as docker's `cp` reads them: a trailing `/` or `/.` says something and is kept, `.` as the last name means what is in a
 * directory. Source: docker's reference, "docker container cp"; behaviour held against docker's in the integration tests.
 */

/** `CONTAINER:PATH`, or a path on this machine: one that starts with `/` or `.`, or has no colon. */
export function splitCopyArgument(argument: string): { container: string; path: string } {
  const colon = argument.indexOf(":");
  const isLocal = argument.startsWith("/") || argument.startsWith(".") || colon < 0;
  if (isLocal) return { container: "", path: argument };
  return { container: argument.slice(0, colon), path: argument.slice(colon + 1) };
}

/** A cleaned path with the trailing `/.` or `/` that the original has. */
export function keepTrailing(cleaned: string, original: string): string {
  let path = cleaned;
  if (!endsInDot(path) && endsInDot(original)) path += path.endsWith("/") ? "." : "/.";
  if (!path.endsWith("/") && original.endsWith("/")) path += "/";
  return path;
}

/** Directory and last name of a path; the last name is `.` when the path says so. */
export function splitEntry(path: string): { directory: string; base: string } {
  const cleaned = clean(path);
  const whole = endsInDot(path) ? `${cleaned}/.` : cleaned;
  return { directory: clean(posix.dirname(whole)), base: posix.basename(whole) || "/" };
}

/** The path must be that of a directory. */
export function assertsDirectory(path: string): boolean {
  return path.endsWith("/") || endsInDot(path);
}

/** Where a link leads, with the trailing marks of the path that named it, and the name that the copy should have all the same. */
export function followedPath(path: string, target: string): { path: string; rename: string } {
  let followed = target;
  if (endsInDot(path) && !endsInDot(followed)) followed += "/.";
  if (path.endsWith("/") && !followed.endsWith("/")) followed += "/";
  const isRenamed = posix.basename(path) !== posix.basename(followed);
  return { path: followed, rename: isRenamed ? posix.basename(path) : "" };
}

export interface CopySource {
  readonly path: string;
  readonly isDirectory: boolean;
  /** Takes the place of the path's last name; "" is none. */
  readonly rename: string;
}

export interface CopyDestination {
  readonly path: string;
  readonly exists: boolean;
  readonly isDirectory: boolean;
}

/** The directory to unpack into, and what the first name of the archive's entries becomes. @throws in docker's words */
export function planCopy(
  source: CopySource,
  destination: CopyDestination,
): { directory: string; base: string } {
  const { directory, base } = splitEntry(destination.path);
  if (destination.exists && destination.isDirectory) {
    return { directory: destination.path, base: source.rename || splitEntry(source.path).base };
  }
  if (destination.exists && source.isDirectory) throw failure("cannot copy directory");
  if (!destination.exists && !source.isDirectory && assertsDirectory(destination.path)) {
    throw failure("no such directory");
  }
  return { directory, base };
}

/** Renames the first name of an entry: `etc/passwd` with `etc` becoming `b` is `b/passwd`. */
export function rebase(name: string, from: string, to: string): string {
  if (from === to) return name;
  if (from === "/") return `${to}/${name.replace(/^\/+/, "")}`;
  if (name === from) return to;
  return name.startsWith(`${from}/`) ? `${to}${name.slice(from.length)}` : name;
}

function endsInDot(path: string): boolean {
  return path === "." || path.endsWith("/.");
}

function clean(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 ? normal.replace(/\/$/, "") : normal;
}
