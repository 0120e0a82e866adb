import { readFileSync, statSync } from "node:fs";
import type { CgroupPlan } from "../cgroups/plan.ts";
import { CgroupDriver } from "../cgroups/driver.ts";
import type { GroupAtPath } from "../cgroups/group-at-path.ts";
import { TiffinError } from "../base/error.ts";
import { CLONE } from "../kernel/flags.ts";
import { closeFd, openProcess } from "../kernel/process.ts";
import type { HookPlace } from "./hooks.ts";
import { availableCapabilities, lastCapability } from "./plan-credentials.ts";
import { planExec } from "./plan-exec.ts";
import { NAMESPACE_FLAGS } from "./plan-namespaces.ts";
import type { OciProcess } from "./plan-process.ts";

const PROC_NAMES: Readonly<Record<string, keyof typeof NAMESPACE_FLAGS>> = {
  pid: "pid",
  net: "network",
  mnt: "mount",
  ipc: "ipc",
  uts: "uts",
  user: "user",
  cgroup: "cgroup",
  time: "time",
};

/** CLONE_NEW* of the namespaces that a process does not share with this one. */
export function otherNamespaces(pid: number): bigint {
  let flags = 0n;
  for (const [name, type] of Object.entries(PROC_NAMES)) {
    const theirs = statSync(`/proc/${pid}/ns/${name}`, { throwIfNoEntry: false });
    const ours = statSync(`/proc/self/ns/${name}`, { throwIfNoEntry: false });
    if (theirs && ours && theirs.ino !== ours.ino) flags |= NAMESPACE_FLAGS[type];
  }
  return flags;
}

const NO_GROUPS: CgroupPlan = { create: [], groups: [], limit: [], enter: [], mounts: [] };

/** The pid as processes in its own pid namespace see it (proc_pid_status(5), NSpid). */
function pidInside(pid: number): number {
  const line = /^NSpid:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "";
  return Number(line.trim().split(/\s+/).at(-1) ?? pid);
}

/**
 * The namespaces of a container's first process, for its hooks.
 * @param confined the container's own process, when the hook is a program of the container; else it keeps all power there
 */
export function containerPlace(
  pid: number,
  paths: GroupAtPath,
  confined?: OciProcess,
): HookPlace & { readonly insidePid: number; close(): void } {
  const pidfd = openProcess(pid);
  if (pidfd === undefined) {
    throw new TiffinError("internal", `Cannot enter the container ${paths.name}: it has ended`);
  }
  const namespaces = otherNamespaces(pid);
  const last = lastCapability();
  const isOwnUser = (namespaces & CLONE.NEWUSER) !== 0n;
  const all = isOwnUser ? (1n << BigInt(last + 1)) - 1n : availableCapabilities();
  const sets = { bounding: all, effective: all, permitted: all, inheritable: 0n, ambient: 0n };
  return {
    insidePid: pidInside(pid),
    inherited: [pidfd],
    forks: true,
    close: () => closeFd(pidfd),
    plan: (hook) => {
      const shape = {
        capabilities: sets,
        lastCapability: last,
        seccomp: [],
        preserveFds: 0,
        preservedFrom: 0,
        also: [],
        gate: "none" as const,
        isKnown: true,
        ...confined,
      };
      const process: OciProcess = {
        ...shape,
        spec: {
          cwd: "/",
          args: hook.args ?? [hook.path],
          ...(confined?.spec.user && { user: confined.spec.user }),
          noNewPrivileges: confined?.spec.noNewPrivileges === true,
        },
        environment: hook.env ?? [],
        program: hook.path,
      };
      return planExec({
        process,
        namespaces,
        cgroup: confined ? new CgroupDriver(paths).planEntry(paths.name) : NO_GROUPS,
        limits: [],
        console: null,
        security: { open: [], apply: [], opened: [] },
        notifies: false,
      });
    },
  };
}
