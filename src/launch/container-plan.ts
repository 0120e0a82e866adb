import { call, type Fork, type Operation, type Register, register } from "../base/operation.ts";
import type { CgroupPlan } from "../cgroups/plan.ts";
import { CLONE, MNT_DETACH, MOVE_MOUNT, O } from "../kernel/flags.ts";
import { planConsole, planPseudoTerminal } from "../namespaces/devices.ts";
import { mapText } from "../namespaces/id-range.ts";
import { attachMounts, planPrivateTree } from "../namespaces/kernel-mounts.ts";
import { planMaskMaterial, planMasks, planReadOnlyPaths } from "../namespaces/masked-paths.ts";
import {
  clean,
  type DetachedMount,
  openTarget,
  planReadOnlyRoot,
} from "../namespaces/mount-operations.ts";
import {
  type NamespacePlan,
  planCgroupNamespace,
  planHostname,
  planJoins,
  planNetworkPath,
  planTimeNamespace,
} from "../namespaces/namespaces.ts";
import {
  limitsByTime,
  planKeyring,
  planOomScoreAdjust,
  planRlimits,
  type ResourceLimit,
} from "../namespaces/rlimits.ts";
import { planSysctls } from "../namespaces/network.ts";
import {
  planAnswering,
  planBecomeRoot,
  planEndWithEngine,
  planGuard,
  planHoldings,
  planMemoryEvents,
  planProgram,
  planSession,
  planSupervise,
  type ProcessPlan,
} from "./process-plan.ts";

export interface ContainerPlan {
  readonly id: string;
  readonly process: ProcessPlan;
  readonly namespaces: NamespacePlan;
  /** By container ID: descriptors of the first processes of containers whose namespaces are joined. */
  readonly joinPidfds: ReadonlyMap<string, number>;
  /** First host id of the range; 0 without a user namespace. */
  readonly idBase: number;
  readonly cgroup: CgroupPlan;
  /** Leaves the mounted root, detached, in register `rootfs`; uses register `userns` when there is one. Supervisor side. */
  readonly rootfs: readonly Operation[];
  /** Detached mounts that `rootfs` leaves behind: they go with the host's tree. */
  readonly leftMounts: readonly Register[];
  /** Other preparation on the supervisor side, before the mounts: user namespaces of `:me` binds. */
  readonly prepare: readonly Operation[];
  /** In the order of attaching. */
  readonly mounts: readonly DetachedMount[];
  /** Makes its network interfaces from outside, once register `pid` is there. Supervisor side. */
  readonly links: readonly Operation[];
  /** Brings up what is in a network namespace of its own, from inside, after `links`; empty: it has none. */
  readonly interfaces: readonly Operation[];
  readonly hostname: string;
  readonly domainname: string;
  readonly timeOffsetSeconds: number;
  readonly rlimits: readonly ResourceLimit[];
  readonly sysctls: {
    readonly asked: Readonly<Record<string, string>>;
    readonly usual: Readonly<Record<string, string>>;
  };
  readonly oomScoreAdjust: number;
  readonly maskedPaths: Parameters<typeof planMasks>[0];
  readonly readOnlyPaths: readonly string[];
  readonly readOnlyRoot: boolean;
}

/** The whole start of a container as one plan. Pure. */
export function planContainerLaunch(plan: ContainerPlan): Operation[] {
  return [
    ...planHoldings(plan.process),
    planMappedSignal(),
    ...plan.cgroup.create,
    ...planFork(plan),
    // The container makes its own mounts private meanwhile.
    ...plan.links,
    ...plan.cgroup.limit,
    ...planMemoryEvents(plan.cgroup),
    ...planIdMaps({
      idBase: plan.idBase,
      isOwn: plan.namespaces.userNamespace === "own",
    }),
    signalMapped(),
    ...planTree(plan),
    ...planSupervise(plan.process, plan.cgroup.oomEventsPath !== undefined),
  ];
}

export function planMappedSignal(): Operation {
  return call(
    "eventfd2",
    [0, O.CLOEXEC],
    "make the signal that the container's groups and ids are there",
    { result: "mapped" },
  );
}

export function signalMapped(): Operation {
  return {
    control: "signal",
    eventfd: register("mapped"),
    reason: "tell the container that its groups and its ids are there",
  };
}

export function planMappedWait(): Operation {
  return {
    control: "wait",
    for: register("mapped"),
    until: "readable",
    reason: "wait until the groups and the ids are there",
  };
}

/** Everything that the supervisor makes for the container's tree, until it tells that it is ready. */
export function planTree(plan: ContainerPlan): Operation[] {
  return [
    ...planRlimits(limitsByTime(plan.rlimits).early, register("pid")),
    ...plan.rootfs,
    ...plan.prepare,
    ...plan.mounts.filter(({ side }) => side === "supervisor").flatMap(({ make }) => make),
    ...planAnswering(plan.process),
    // Making files as the container's root has undone it.
    ...planEndWithEngine(),
    {
      control: "signal",
      eventfd: register("prepared"),
      reason: "tell the container that its tree is ready",
    },
  ];
}

/**
 * A container that joins others is forked by a process of its own: who has entered a user namespace cannot come back, and
 * a pid namespace is entered by children only (namespaces.ts, NamespacePlan.joins).
 */
function planFork(plan: ContainerPlan): Operation[] {
  const { joins, cloneFlags, networkPath } = plan.namespaces;
  const fork = (flags: bigint): Fork => planContainerFork(plan, flags, planContainerSide(plan));
  if (joins.length === 0 && networkPath === undefined) return [fork(cloneFlags)];
  return [
    call("eventfd2", [0, O.CLOEXEC], "make the signal that the container is there", {
      result: "joined",
    }),
    {
      control: "fork",
      flags: CLONE.FILES | CLONE.PIDFD,
      pid: "joiner",
      pidfd: "joiner.pidfd",
      reason: "start a process that enters namespaces of other containers",
      child: [
        ...planGuard(),
        ...(networkPath === undefined ? [] : planNetworkPath(networkPath)),
        ...planJoins(joins, plan.joinPidfds),
        fork(cloneFlags | CLONE.PARENT),
        { control: "signal", eventfd: register("joined"), reason: "tell the supervisor" },
        call("exit_group", [0], "leave"),
      ],
    },
    {
      control: "wait",
      for: register("joined"),
      until: "readable",
      peer: register("joiner.pidfd"),
      reason: "wait until the container is there",
    },
    call("wait4", [register("joiner"), null, 0, null], "reap the process that entered"),
  ];
}

export function planContainerFork(
  { cgroup }: { readonly cgroup: CgroupPlan },
  flags: bigint,
  child: readonly Operation[],
): Fork {
  return {
    control: "fork",
    flags: flags | CLONE.FILES | CLONE.PIDFD | (cgroup.intoCgroup ? CLONE.INTO_CGROUP : 0n),
    ...(cgroup.intoCgroup ? { intoCgroup: cgroup.intoCgroup } : {}),
    pid: "pid",
    pidfd: "pidfd",
    reason: "start the container's first process in new namespaces",
    hints: {
      EUSERS: "Too many user namespaces: raise /proc/sys/user/max_user_namespaces",
      ENOSPC: "Too many namespaces: raise the limits in /proc/sys/user",
      EPERM: "The engine lacks CAP_SYS_ADMIN: run it as root, outside of a container",
    },
    child,
  };
}

/** A user namespace that is shared has its maps already; its descriptor is needed all the same. */
export function planIdMaps(ids: { readonly idBase: number; readonly isOwn: boolean }): Operation[] {
  const { idBase, isOwn } = ids;
  const pid = { scratch: "pid text", size: 24 };
  const map = Buffer.from(mapText(idBase));
  const write = (file: string, what: string): Operation[] => [
    call(
      "openat",
      [register("proc.pid"), file, O.WRONLY | O.CLOEXEC, 0],
      `open the container's ${file}`,
      { result: "map" },
    ),
    call(
      "write",
      [register("map"), map, map.length],
      `map the container's ${what} to the host's from ${idBase} on`,
    ),
    call("close", [register("map")], `close ${file}`),
  ];
  return idBase === 0
    ? []
    : [
        {
          control: "decimal",
          from: register("pid"),
          to: pid,
          reason: "write the process number",
        },
        call("openat", [-100, "/proc", O.PATH | O.DIRECTORY | O.CLOEXEC, 0], "open /proc", {
          result: "proc.root",
        }),
        call(
          "openat",
          [register("proc.root"), pid, O.PATH | O.DIRECTORY | O.CLOEXEC, 0],
          "find the process in /proc",
          { result: "proc.pid" },
        ),
        ...(isOwn ? [...write("uid_map", "users"), ...write("gid_map", "groups")] : []),
        call(
          "openat",
          [register("proc.pid"), "ns/user", O.RDONLY | O.CLOEXEC, 0],
          "open the container's user namespace",
          { result: "userns" },
        ),
      ];
}

/** The mounts that the kernel fills: what is looked for in them is looked for from there. */
function kernelMounts({ mounts }: ContainerPlan): ReadonlyMap<string, Register> {
  const found = mounts.filter(({ target }) => ["proc", "sys"].includes(clean(target)));
  return new Map(found.map(({ target, mount }) => [`/${clean(target)}`, mount]));
}

function planContainerSide(plan: ContainerPlan): Operation[] {
  return [
    ...planGuard(),
    ...planPrivateTree(),
    ...planPlace(plan),
    ...planSession(),
    ...(plan.links.length === 0 ? plan.interfaces : []),
    planMappedWait(),
    ...(plan.links.length === 0 ? [] : plan.interfaces),
    ...planInsideGroups(plan),
  ];
}

/** Where the root will be, and the names of the host that it is. */
export function planPlace(plan: ContainerPlan): Operation[] {
  return [
    call(
      "openat",
      [-100, plan.process.runDirectory, O.PATH | O.DIRECTORY | O.CLOEXEC, 0],
      "open a place for the root",
      { result: "place" },
    ),
    ...(plan.namespaces.uts === "own" ? planHostname(plan.hostname, plan.domainname) : []),
  ];
}

/** From its groups to its program. Container side, once its groups and its ids are there. */
export function planInsideGroups(plan: ContainerPlan): Operation[] {
  const places = { root: register("rootfs"), mounts: kernelMounts(plan) };
  const proc = places.mounts.get("/proc") ?? register("proc");
  return [
    ...planOomScoreAdjust(plan.oomScoreAdjust),
    ...plan.cgroup.enter,
    ...(plan.namespaces.newCgroup ? planCgroupNamespace() : []),
    ...(plan.namespaces.newTime ? planTimeNamespace(plan.timeOffsetSeconds) : []),
    ...(plan.idBase === 0 ? [] : planBecomeRoot()),
    ...planKeyring(plan.id),
    ...plan.mounts.filter(({ side }) => side === "container").flatMap(({ make }) => make),
    ...(plan.maskedPaths.length > 0 ? planMaskMaterial(plan.maskedPaths) : []),
    {
      control: "wait",
      for: register("prepared"),
      until: "readable",
      reason: "wait until the tree is ready",
    },
    ...planSysctls(plan.sysctls.usual, { proc, mayFail: true }),
    ...planSysctls(plan.sysctls.asked, { proc, mayFail: false }),
    ...planEnterRoot(plan.leftMounts),
    ...attachMounts(plan.mounts, register("rootfs")),
    ...(plan.process.tty ? planTerminal(plan) : []),
    ...openTarget({
      root: register("rootfs"),
      path: plan.process.workingDirectory,
      kind: "directory",
      result: "target",
    }),
    ...planReadOnlyPaths(plan.readOnlyPaths, places),
    ...planMasks(plan.maskedPaths, places),
    ...(plan.readOnlyRoot ? planReadOnlyRoot(register("rootfs")) : []),
    ...planRlimits(limitsByTime(plan.rlimits).late, 0),
    ...planProgram(plan.process),
  ];
}

/** From here on the host's tree is out of reach. Source: pivot_root(2), "pivot_root(".", ".")". */
function planEnterRoot(leftMounts: readonly Register[]): Operation[] {
  const flags = MOVE_MOUNT.F_EMPTY_PATH | MOVE_MOUNT.T_EMPTY_PATH;
  const attach = (mount: Register, reason: string): Operation =>
    call("move_mount", [mount, "", register("place"), "", flags], reason);
  return [
    ...leftMounts.map((mount) => attach(mount, "put what only the root's making needed there")),
    attach(register("rootfs"), "mount the root"),
    call("fchdir", [register("rootfs")], "enter the root"),
    call("pivot_root", [".", "."], "make it the root"),
    call("umount2", [".", MNT_DETACH], "let go of the host's tree"),
    call("chdir", ["/"], "go to the root"),
  ];
}

function planTerminal({ process }: ContainerPlan): Operation[] {
  const root = register("rootfs");
  return [
    ...planPseudoTerminal({
      root,
      master: "terminal",
      slave: "slave",
      owner: process.uid,
      ...process.terminalSize,
    }),
    ...planConsole("slave", root),
  ];
}
