import { posix } from "node:path";
import { invalidArgument } from "../base/error.ts";
import type { MountPoint } from "./types.ts";

/** Files of /proc that may be replaced, as programs that show a container's own figures do (runc's list). */
const REPLACEABLE = [
  "/proc/cpuinfo",
  "/proc/diskstats",
  "/proc/loadavg",
  "/proc/meminfo",
  "/proc/net/dev",
  "/proc/slabinfo",
  "/proc/stat",
  "/proc/swaps",
  "/proc/sys/crypto/fips_enabled",
  "/proc/sys/kernel/ns_last_pid",
  "/proc/uptime",
];

/** @throws invalid-argument, in docker's words, for what is no place for a mount */
export function checkMountTarget({ type, source, target }: MountPoint): void {
  const parts = target.split("/").filter((part) => part !== "" && part !== ".");
  if (!target.startsWith("/") || parts.includes("..")) {
    throw invalidArgument(
      `Invalid mount path: '${target}' mount path must be absolute, without ".."`,
    );
  }
  if (parts.length === 0) throw invalidArgument("Invalid specification: destination can't be '/'");
  if (!isProcPath(target) || REPLACEABLE.includes(`/${parts.join("/")}`)) return;
  // The host's own proc over the container's, which is another view of the same kernel.
  if (
    type === "bind" &&
    parts.length === 1 &&
    posix.normalize(source).replace(/\/$/, "") === "/proc"
  )
    return;
  throw invalidArgument(
    `Cannot mount "${source === "" ? type : source}" at "${target}": it is inside of /proc`,
    `Choose another target; in /proc only these can be replaced: ${REPLACEABLE.join(", ")}`,
  );
}

/** As written: links of the image are found out when the container starts. */
export function isProcPath(target: string): boolean {
  return target.split("/").find((part) => part !== "" && part !== ".") === "proc";
}
