import { closeSync, openSync } from "node:fs";
import { isAbsolute } from "node:path";
import { invalidArgument, messageOf } from "../base/error.ts";
import { call, type Operation, register } from "../base/operation.ts";
import { CLONE } from "../kernel/flags.ts";
import { syscallRaw } from "../kernel/syscall.ts";
import type { IdMapping, SpecLinux } from "../base/runtime-spec.ts";

export type NamespaceType =
  | "pid"
  | "network"
  | "mount"
  | "ipc"
  | "uts"
  | "user"
  | "cgroup"
  | "time";

export const NAMESPACE_FLAGS: Readonly<Record<NamespaceType, bigint>> = {
  pid: CLONE.NEWPID,
  network: CLONE.NEWNET,
  mount: CLONE.NEWNS,
  ipc: CLONE.NEWIPC,
  uts: CLONE.NEWUTS,
  user: CLONE.NEWUSER,
  cgroup: CLONE.NEWCGROUP,
  time: CLONE.NEWTIME,
};

/** `linux.namespaces`: what the container has of its own, enters, or (not listed) shares with the runtime. */
export class OciNamespaces {
  private readonly paths: ReadonlyMap<string, string>;

  /** @throws invalid-argument */
  constructor(linux: SpecLinux) {
    const paths = new Map<string, string>();
    for (const { type, path = "" } of linux.namespaces ?? []) {
      if (!(type in NAMESPACE_FLAGS)) {
        throw invalidArgument(`Cannot use the namespace ${JSON.stringify(type)}: there is no such`);
      }
      if (paths.has(type)) {
        throw invalidArgument(`Cannot use the namespaces: ${type} is there twice`);
      }
      if (path !== "" && !isAbsolute(path)) {
        throw invalidArgument(`Cannot enter ${JSON.stringify(path)}: the path is not absolute`);
      }
      paths.set(type, path);
    }
    this.paths = paths;
    this.check(linux);
  }

  private check(linux: SpecLinux): void {
    if (!this.isNew("mount")) {
      throw invalidArgument(
        'Cannot use the namespaces: a new one of type "mount" is needed',
        "Without one the container's mounts would be the host's",
      );
    }
    const mappings = (linux.uidMappings?.length ?? 0) + (linux.gidMappings?.length ?? 0);
    if (mappings > 0 && !this.has("user")) {
      throw invalidArgument("Cannot use uidMappings and gidMappings: there is no user namespace");
    }
    if (this.isNew("user") && !(linux.uidMappings?.length && linux.gidMappings?.length)) {
      throw invalidArgument("Cannot make a user namespace: uidMappings or gidMappings are missing");
    }
    if (linux.timeOffsets && Object.keys(linux.timeOffsets).length > 0 && !this.isNew("time")) {
      throw invalidArgument("Cannot use timeOffsets: there is no new time namespace");
    }
  }

  /** The container does not share the runtime's. */
  has(type: NamespaceType): boolean {
    return this.paths.has(type);
  }

  isNew(type: NamespaceType): boolean {
    return this.paths.get(type) === "";
  }

  get hasUserNamespace(): boolean {
    return this.has("user");
  }

  /** For clone3; a cgroup and a time namespace are made by the first process itself. */
  get cloneFlags(): bigint {
    let flags = 0n;
    for (const [type, flag] of Object.entries(NAMESPACE_FLAGS)) {
      const isLater = type === "cgroup" || type === "time";
      if (this.paths.get(type) === "" && !isLater) flags |= flag;
    }
    return flags;
  }

  /** What is entered; a user namespace last, since power over the others may end with it. */
  get joins(): { type: NamespaceType; path: string }[] {
    const all = Object.keys(NAMESPACE_FLAGS) as NamespaceType[];
    const joined = all.flatMap((type) => {
      const path = this.paths.get(type) ?? "";
      return path === "" ? [] : [{ type, path }];
    });
    return joined.toSorted((a, b) => Number(a.type === "user") - Number(b.type === "user"));
  }
}

const NS_GET_NSTYPE = 0xb703;

/** Descriptors of the namespaces that are entered, in the order of `joins`; whoever calls closes them. @throws invalid-argument */
export function openJoins(namespaces: OciNamespaces): number[] {
  const fds: number[] = [];
  try {
    for (const { type, path } of namespaces.joins) {
      const fd = openSync(path, "r");
      fds.push(fd);
      const found = syscallRaw("ioctl", fd, NS_GET_NSTYPE, 0);
      if (BigInt(found) !== NAMESPACE_FLAGS[type]) {
        throw invalidArgument(`${path} is no namespace of type ${type}`);
      }
    }
    return fds;
  } catch (error) {
    for (const fd of fds) closeSync(fd);
    throw invalidArgument(`Cannot enter a namespace: ${messageOf(error)}`);
  }
}

/** Enters them. Run by a process of its own, which then clones. @param firstFd where the launcher finds the first descriptor */
export function planEnter(namespaces: OciNamespaces, firstFd: number): Operation[] {
  return namespaces.joins.map(({ type, path }, index) =>
    call("setns", [firstFd + index, NAMESPACE_FLAGS[type]], `enter the ${type} namespace ${path}`),
  );
}

/** The text for uid_map or gid_map (user_namespaces(7)). */
export function mapText(mappings: readonly IdMapping[]): string {
  return mappings
    .map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`)
    .join("");
}

const CLOCKS: Readonly<Record<string, string>> = { monotonic: "monotonic", boottime: "boottime" };

/**
 * A time namespace with the offsets of `linux.timeOffsets`. By the first process, while the host's /proc is there.
 * Source: time_namespaces(7). @throws invalid-argument for an unknown clock
 */
export function planTimeOffsets(offsets: NonNullable<SpecLinux["timeOffsets"]>): Operation[] {
  const lines = Object.entries(offsets).map(([clock, { secs = 0, nanosecs = 0 }]) => {
    if (CLOCKS[clock] === undefined) {
      throw invalidArgument(`Cannot set the offset of ${JSON.stringify(clock)}: no such clock`);
    }
    return `${clock} ${secs} ${nanosecs}\n`;
  });
  const text = Buffer.from(lines.join(""));
  return [
    call("unshare", [CLONE.NEWTIME], "make a time namespace", {
      hints: { EINVAL: "The kernel lacks CONFIG_TIME_NS; leave the time namespace out" },
    }),
    ...(text.length === 0
      ? []
      : [
          call("openat", [-100, "/proc/self/timens_offsets", 0o2000001, 0], "open the offsets", {
            result: "time",
          }),
          call("write", [register("time"), text, text.length], "set the clocks' offsets"),
        ]),
    call("openat", [-100, "/proc/self/ns/time_for_children", 0o2000000, 0], "open it", {
      result: "time.entered",
    }),
    call("setns", [register("time.entered"), CLONE.NEWTIME], "enter the time namespace"),
  ];
}
