import { type Operation, type Register, call, register } from "../base/operation.ts";
import { AT, O } from "../kernel/flags.ts";
import { devicesV1, planDeviceFilter } from "./devices.ts";
import { writesV1, writesV2 } from "./limits.ts";
import type { DriverPaths } from "./paths.ts";
import type { DeviceRule, Resources } from "./resources.ts";
import type { CgroupWrite } from "./write.ts";

export interface CgroupRequest {
  readonly containerId: string;
  readonly resources: Resources;
  readonly deviceRules: readonly DeviceRule[];
}

export interface CgroupPlan {
  /** Makes (or opens) what the fork enters. Supervisor side, before it. */
  readonly create: readonly Operation[];
  /** Makes the other groups alone, where that is to be done ahead of `limit`. Supervisor side. */
  readonly groups: readonly Operation[];
  /** Makes the other groups and sets the limits. Supervisor side, before the container goes on to `enter`. */
  readonly limit: readonly Operation[];
  /** The v2 directory for clone3's CLONE_INTO_CGROUP, when there is v2. */
  readonly intoCgroup?: Register;
  /**
   * Enters the v1 groups, through descriptors that the supervisor opened: the kernel checks the rights of who opened
   * them. Container side, first of all, before unshare(CLONE_NEWCGROUP).
   */
  readonly enter: readonly Operation[];
  /**
   * What the container may see at /sys/fs/cgroup: the hierarchies that it is in, by the names that the host gives them, with
   * the mount options that select them (none: v2); null: v2 alone. In others it would see the engine's place.
   */
  readonly mounts: readonly CgroupMount[] | null;
  /** The file to keep open and read after the end for {@link oomKills}, or undefined where nothing counts. */
  readonly oomEventsPath?: string;
}

export interface CgroupMount {
  readonly directory: string;
  readonly options: readonly string[];
}

/** The groups of one container: pure, from the driver's paths (paths.ts). */
export function planCgroups(paths: DriverPaths, request: CgroupRequest): CgroupPlan {
  return planGroups(paths, {
    ...request,
    writesV1: writesV1(request.resources, paths.parentSets),
    writesV2: writesV2(request.resources),
  });
}

/** Groups with the values that go into their files. */
export interface GroupRequest {
  readonly containerId: string;
  readonly deviceRules: readonly DeviceRule[];
  /** For v1 and hybrid hosts. */
  readonly writesV1: readonly CgroupWrite[];
  /** For v2 hosts. */
  readonly writesV2: readonly CgroupWrite[];
  /** For the v2 side of a hybrid host. */
  readonly writesHybrid?: readonly CgroupWrite[];
}

/** As {@link planCgroups}, for whoever works the values out. @throws unavailable when a controller is missing */
export function planGroups(paths: DriverPaths, request: GroupRequest): CgroupPlan {
  const create: Operation[] = [];
  const v1 = planV1(paths, request);
  const limit = [...v1.create];
  const unified = paths.unified(request.containerId);
  if (unified !== undefined) {
    const directory = register("cgroup.v2");
    create.push(
      makeDirectory(unified),
      call("openat", [AT.FDCWD, unified, O.DIRECTORY | O.CLOEXEC, 0], "open its cgroup", {
        result: directory.register,
      }),
    );
    const isV2 = paths.layout.kind === "v2";
    limit.push(...planWrites(unified, isV2 ? request.writesV2 : (request.writesHybrid ?? [])));
    if (isV2) {
      if (!isUnrestricted(request.deviceRules)) {
        limit.push(...planDeviceFilter(request.deviceRules, directory));
      }
    }
  }
  const oomEventsPath = paths.oomEvents(request.containerId);
  return {
    create,
    groups: v1.groups,
    limit,
    enter: v1.enter,
    mounts: paths.layout.kind === "v2" ? null : [...v1.hierarchies, ...unifiedMount(paths)],
    ...(unified !== undefined && { intoCgroup: register("cgroup.v2") }),
    ...(oomEventsPath !== undefined && { oomEventsPath }),
  };
}

/** How one more process enters the groups that a running container has. */
export function planEntry(groups: readonly { path: string; unified: boolean }[]): CgroupPlan {
  const create: Operation[] = [];
  const enter: Operation[] = [];
  groups.forEach(({ path, unified }, index) => {
    if (unified) {
      create.push(
        call(
          "openat",
          [AT.FDCWD, path, O.DIRECTORY | O.CLOEXEC, 0],
          "open the container's cgroup",
          {
            result: "cgroup.v2",
          },
        ),
      );
      return;
    }
    const procs = register(`procs.${index}`);
    create.push(openProcs(path, procs));
    enter.push(...enterGroup(path, procs));
  });
  const hasUnified = groups.some(({ unified }) => unified);
  return {
    create,
    groups: [],
    limit: [],
    enter,
    mounts: [],
    ...(hasUnified && { intoCgroup: register("cgroup.v2") }),
  };
}

function openProcs(directory: string, procs: Register): Operation {
  return call(
    "openat",
    [AT.FDCWD, `${directory}/tasks`, O.WRONLY | O.CLOEXEC, 0],
    `open the way into ${directory}`,
    { result: procs.register },
  );
}

/**
 * By the process itself, which has one thread. Through `tasks`, not `cgroup.procs`: for a thread that moves itself the kernel does
 * not stop all others from forking, which would mean to wait for all CPUs (RCU).
 */
function enterGroup(directory: string, procs: Register): Operation[] {
  return [call("write", [procs, Buffer.from("0"), 1], `enter ${directory}`)];
}

function isUnrestricted(rules: readonly DeviceRule[]): boolean {
  return devicesV1(rules).length === 0;
}

function unifiedMount(paths: DriverPaths): CgroupMount[] {
  const { unified } = paths.layout;
  return unified === null ? [] : [{ directory: nameOf(unified), options: [] }];
}

function nameOf(mountPoint: string): string {
  return mountPoint.slice(mountPoint.lastIndexOf("/") + 1);
}

interface PlanV1 {
  readonly groups: Operation[];
  readonly create: Operation[];
  readonly enter: Operation[];
  readonly hierarchies: CgroupMount[];
}

function planV1(paths: DriverPaths, request: GroupRequest): PlanV1 {
  const groups: Operation[] = [];
  const create: Operation[] = [];
  const enter: Operation[] = [];
  if (paths.layout.kind === "v2") return { groups, create, enter, hierarchies: [] };
  const writes = [...request.writesV1, ...devicesV1(request.deviceRules)].filter(
    (write) => paths.hierarchy(write.controller) !== undefined || write.optional !== true,
  );
  const byDirectory = new Map<string, CgroupWrite[]>();
  for (const controller of paths.alwaysJoined) {
    const hierarchy = paths.hierarchy(controller);
    if (hierarchy !== undefined) byDirectory.set(hierarchy, []);
  }
  for (const write of writes) {
    const hierarchy = paths.required(write.controller);
    byDirectory.set(hierarchy, [...(byDirectory.get(hierarchy) ?? []), write]);
  }
  let index = 0;
  for (const [hierarchy, itsWrites] of byDirectory) {
    const directory = paths.group(hierarchy, request.containerId);
    const procs = register(`procs.${index++}`);
    groups.push(makeDirectory(directory));
    create.push(
      makeDirectory(directory),
      ...planWrites(directory, itsWrites),
      openProcs(directory, procs),
    );
    enter.push(...enterGroup(directory, procs));
  }
  const hierarchies = paths.layout.hierarchies
    .filter(({ mountPoint }) => byDirectory.has(mountPoint))
    .map(({ mountPoint, controllers }) => ({
      directory: nameOf(mountPoint),
      options: controllers,
    }));
  return { groups, create, enter, hierarchies };
}

function makeDirectory(path: string): Operation {
  return call("mkdirat", [AT.FDCWD, path, 0o755], `make the cgroup ${path}`, {
    // A start that was cut short may have left it; it is empty, and every value is written anew.
    okErrors: ["EEXIST"],
    hints: {
      ENOENT: "The parent group is gone: restart the engine",
      ENOSPC: "A parent has no CPUs to give: see its cpuset.cpus",
    },
  });
}

/** What follows each other and goes to the same file takes the same descriptor. */
function planWrites(directory: string, writes: readonly CgroupWrite[]): Operation[] {
  return writes.flatMap((write, index) => {
    const before = writes[index - 1];
    const isOpen = before?.file === write.file && before.optional === write.optional;
    return planWrite(directory, write, { isOpen });
  });
}

function planWrite(
  directory: string,
  write: CgroupWrite,
  { isOpen }: { isOpen: boolean },
): Operation[] {
  const file = register("limit");
  const text = Buffer.from(write.value);
  const open = call(
    "openat",
    [AT.FDCWD, `${directory}/${write.file}`, O.WRONLY | O.CLOEXEC, 0],
    `open ${write.file}`,
    {
      result: file.register,
      hints: { ENOENT: `The kernel cannot do this: it has no ${write.file}` },
      ...(write.optional === true && { okErrors: ["ENOENT"] as const }),
    },
  );
  const opening = isOpen ? [] : [open];
  const set = call("write", [file, text, text.length], write.reason, {
    hints: {
      EINVAL: `The kernel does not take ${JSON.stringify(write.value)} for ${write.file}`,
      EBUSY: `${write.file} is below what is in use already`,
    },
  });
  if (write.optional !== true) return [...opening, set];
  return [
    ...opening,
    {
      control: "branch",
      reason: `${write.reason} where the kernel can`,
      ifNegative: file,
      then: [],
      otherwise: [set],
    },
  ];
}
