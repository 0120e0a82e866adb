import { existsSync, readFileSync } from "node:fs";
import { CgroupDriver } from "../cgroups/driver.ts";
import { GroupAtPath } from "../cgroups/group-at-path.ts";
import { readLayout } from "../cgroups/layout.ts";
import type { StateDirectory, StoredState } from "./state-directory.ts";

export type Status = "creating" | "created" | "running" | "paused" | "stopped";

/** The state as the specification defines it (runtime.md, "State"), and what callers of runc look for beside it. */
export interface ContainerState {
  readonly ociVersion: string;
  readonly id: string;
  readonly pid: number;
  readonly status: Status;
  readonly bundle: string;
  readonly rootfs: string;
  readonly created: string;
  readonly owner: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

export function statusOf(directory: StateDirectory, state: StoredState): Status {
  if (state.pid === 0) return directory.isHeldElsewhere() ? "creating" : "stopped";
  if (!isRunning(state)) return "stopped";
  const cgroups = cgroupsOf(state);
  if (isFrozen(cgroups)) return "paused";
  return existsSync(directory.fifo) ? "created" : "running";
}

/** @param status as the caller knows it, or undefined to find out */
export function describeState(state: StoredState, status: Status): ContainerState {
  return {
    ociVersion: state.ociVersion,
    id: state.id,
    pid: status === "stopped" ? 0 : state.pid,
    status,
    bundle: state.bundle,
    rootfs: state.rootfs,
    created: state.created,
    owner: "",
    ...(Object.keys(state.annotations).length > 0 ? { annotations: state.annotations } : {}),
  };
}

/** Fields of /proc/PID/stat after the name, which may hold anything; undefined when there is no such process. */
function processFields(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    // Gone.
    return undefined;
  }
}

/** @returns "" when the process has ended */
export function startTicks(pid: number): string {
  return processFields(pid)?.[19] ?? "";
}

/** The container's first process is there, is the same one, and has not exited. */
export function isRunning(state: StoredState): boolean {
  const fields = processFields(state.pid);
  if (fields === undefined || fields[19] !== state.startTicks) return false;
  return fields[0] !== "Z" && fields[0] !== "X";
}

export interface ContainerCgroups {
  readonly driver: CgroupDriver;
  readonly paths: GroupAtPath;
}

export function cgroupsOf(state: StoredState): ContainerCgroups {
  const paths = new GroupAtPath(readLayout(), state.cgroupsPath, state.usesCpuset);
  return { driver: new CgroupDriver(paths), paths };
}

function isFrozen({ driver, paths }: ContainerCgroups): boolean {
  const isThere = paths.groups(paths.name).some((group) => existsSync(group));
  return isThere && driver.isFrozen(paths.name);
}
