import { statSync } from "node:fs";
import { isAbsolute, join, normalize } from "node:path";
import { invalidArgument, messageOf, TiffinError } from "../base/error.ts";
import { call, type Operation, type Register, register } from "../base/operation.ts";
import type { CgroupPlan } from "../cgroups/plan.ts";
import { MOUNT_ATTR, MOUNT_ATTR_SIZE, AT } from "../kernel/flags.ts";
import { planCgroupMounts } from "../namespaces/kernel-mounts.ts";
import {
  cloneTree,
  type DetachedMount,
  mountAttributes,
  newFilesystem,
  openTarget,
  setMountAttributes,
} from "../namespaces/mount-operations.ts";
import { resolveInRoot } from "./mount-place.ts";
import { type MountOptions, type Propagation, readMountOptions } from "./mount-options.ts";
import type { OciNamespaces } from "./plan-namespaces.ts";
import type { IdMapping, SpecMount } from "../base/runtime-spec.ts";

/** A mount, or a change of what is mounted already, in the order of the configuration. */
export interface PlannedMount {
  readonly detached?: DetachedMount;
  /** Without a mount of its own (`remount`): what is done in its turn, in the container's tree. */
  readonly change?: readonly Operation[];
  /** After all mounts are there: what would keep others from being made below it. */
  readonly last: readonly Operation[];
  /** Needs a user namespace of this map, in the register of {@link idmapRegister}. */
  readonly idmap?: { readonly uids: readonly IdMapping[]; readonly gids: readonly IdMapping[] };
}

export interface MountContext {
  readonly bundle: string;
  readonly rootfs: string;
  readonly namespaces: OciNamespaces;
  readonly cgroup: CgroupPlan;
  /** Absolute: the container's group in each hierarchy, for containers that see the host's cgroup namespace. */
  readonly cgroupsPath: string;
}

/** File systems that the owner of a user namespace may mount, with its own ids. */
const OF_USER_NAMESPACE = new Set([
  "proc",
  "sysfs",
  "mqueue",
  "devpts",
  "tmpfs",
  "ramfs",
  "cgroup",
  "cgroup2",
  "overlay",
  "fuse",
  "bpf",
]);

/** Without a device below them: their `ro` is the mount's alone. */
const VIRTUAL = new Set([...OF_USER_NAMESPACE, "securityfs", "debugfs", "tracefs", "configfs"]);

/** Files of proc that may be mounted over, since programs such as LXCFS do it; all else there is the kernel's. */
const PROC_FILES = new Set(
  ["cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime", "loadavg", "slabinfo"]
    .map((name) => `/proc/${name}`)
    .concat("/proc/net/dev", "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled"),
);

/** The mounts that the kernel fills, by target: what is looked for in them is looked for from there. */
export function kernelMounts(mounts: readonly PlannedMount[]): ReadonlyMap<string, Register> {
  return new Map(
    mounts.flatMap(({ detached }) =>
      detached && ["/proc", "/sys"].includes(detached.target) && KERNELS.has(detached.what)
        ? [[detached.target, detached.mount] as const]
        : [],
    ),
  );
}

const KERNELS = new Set(["proc", "sysfs"]);

/** @throws invalid-argument, not-found */
export function planMounts(mounts: readonly SpecMount[], context: MountContext): PlannedMount[] {
  const places: string[] = [];
  return mounts.flatMap((mount, index) => {
    const written = normalize(`/${mount.destination}`).replace(/(.)\/$/, "$1");
    // Below another mount the root's own links do not count.
    const isCovered = places.some((place) => written.startsWith(`${place}/`));
    const target = isCovered ? written : resolveInRoot(context.rootfs, written);
    // Its files decide what a container may see and do: they must be where they are looked for.
    if (KERNELS.has(mount.type ?? "") && target !== written) {
      throw invalidArgument(`Cannot mount ${mount.type} at ${written}: the image has a link there`);
    }
    places.push(written, target);
    return planMount({ ...mount, destination: target }, index, context);
  });
}

function planMount(mount: SpecMount, index: number, context: MountContext): PlannedMount[] {
  const target = mount.destination;
  const options = readMountOptions(mount);
  if (target === "/") throw invalidArgument('Cannot mount over "/": use root.path');
  const isOfProc = target.startsWith("/proc/") && !PROC_FILES.has(target);
  const isKernels = mount.type === "proc" || mount.type === "binfmt_misc";
  if (isOfProc && !isKernels && !options.remount) {
    throw invalidArgument(
      `Cannot mount ${JSON.stringify(target)}: it is inside /proc`,
      `Only these may be mounted over: ${[...PROC_FILES].join(", ")}`,
    );
  }
  if (options.remount) return [planRemount(target, options)];
  if (options.bind) return [planBindMount(mount, { target, index, options }, context)];
  if (mount.type === "cgroup" || mount.type === "cgroup2") {
    return planCgroups(target, options, context);
  }
  return [planFilesystem(mount, { target, index, options }, context)];
}

interface Place {
  readonly target: string;
  readonly index: number;
  readonly options: MountOptions;
}

function planRemount(target: string, options: MountOptions): PlannedMount {
  const { set, clear } = options;
  return {
    change: [
      ...openTarget({ root: register("rootfs"), path: target, kind: "existing", result: "target" }),
      call(
        "mount_setattr",
        [
          register("target"),
          "",
          AT.EMPTY_PATH,
          mountAttributes({ set, clear: clear | atimeMask(set) }),
          MOUNT_ATTR_SIZE,
        ],
        `change the mount at ${target}`,
      ),
      ...options.propagations.map((propagation) =>
        propagate(register("target"), propagation, target),
      ),
    ],
    last: [],
  };
}

/** The choice of access times is one field: all of it must be cleared to set one. */
function atimeMask(set: number): number {
  return (set & MOUNT_ATTR.ATIME_MASK) === 0 ? 0 : MOUNT_ATTR.ATIME_MASK;
}

function propagate(mount: Register, { flag, recursive }: Propagation, target: string): Operation {
  return setMountAttributes(mount, mountAttributes({ propagation: flag }), {
    recursive,
    reason: `set how mounts at ${target} propagate`,
  });
}

/** The register of the user namespace that the mount at this place in the list is mapped with. */
export function idmapRegister(index: number): Register {
  return register(`idmap.${index}`);
}

function planBindMount(mount: SpecMount, place: Place, context: MountContext): PlannedMount {
  const { target, index, options } = place;
  const written = mount.source ?? "";
  if (written === "") throw invalidArgument(`Cannot bind at ${target}: the source is missing`);
  const source = isAbsolute(written) ? written : join(context.bundle, written);
  const isDirectory = statSource(source);
  const name = `mount.${index}`;
  const held = register(name);
  // What the host forbids on the source stays forbidden, whatever `rw`, `exec`, `dev` or `suid` say.
  const attributes = { set: options.set, clear: atimeMask(options.set) };
  const recursive = { set: options.recursiveSet, clear: options.recursiveClear };
  const propagations =
    options.propagations.length > 0 ? options.propagations : [PRIVATE_BY_DEFAULT];
  const idmap = idmapOf(mount, place, context);
  return {
    detached: {
      mount: held,
      target,
      side: "supervisor",
      what: source,
      targetKind: isDirectory ? "directory" : "file",
      asked: !target.startsWith("/proc/"),
      make: [
        cloneTree({
          from: source,
          result: name,
          recursive: options.recursive,
          reason: `open ${source} to bind it`,
        }),
        ...(idmap?.operations ?? []),
        ...setAttributes(held, attributes, false, target),
        ...setAttributes(held, recursive, true, target),
        ...propagations.map((propagation) => propagate(held, propagation, target)),
      ],
    },
    ...(idmap?.map && { idmap: idmap.map }),
    last: [],
  };
}

const PRIVATE_BY_DEFAULT: Propagation = { flag: 0x40000, recursive: true };

function statSource(source: string): boolean {
  try {
    return statSync(source).isDirectory();
  } catch (error) {
    throw new TiffinError("not-found", `Cannot bind ${source}: ${messageOf(error)}`);
  }
}

function setAttributes(
  mount: Register,
  { set, clear }: { set: number; clear: number },
  recursive: boolean,
  target: string,
): Operation[] {
  if ((set | clear) === 0) return [];
  const attributes = mountAttributes({ set, clear: clear | atimeMask(set | clear) });
  return [setMountAttributes(mount, attributes, { recursive, reason: `restrict ${target}` })];
}

/** @throws invalid-argument when there is no map to apply */
function idmapOf(
  mount: SpecMount,
  { target, index, options }: Place,
  { namespaces }: MountContext,
): { operations: Operation[]; map?: NonNullable<PlannedMount["idmap"]> } | undefined {
  const { uidMappings: uids, gidMappings: gids } = mount;
  if (options.idmap === "" && uids === undefined && gids === undefined) return undefined;
  if ((uids === undefined) !== (gids === undefined)) {
    throw invalidArgument(
      `Cannot map the owners of ${target}: it has only one of uidMappings and gidMappings`,
    );
  }
  if (uids === undefined && !namespaces.hasUserNamespace) {
    throw invalidArgument(
      `Cannot map the owners of ${target}: it has no mappings, nor has the container`,
    );
  }
  const userNamespace = uids === undefined ? register("userns") : idmapRegister(index);
  const operation = setMountAttributes(
    register(`mount.${index}`),
    mountAttributes({ set: MOUNT_ATTR.IDMAP, userNamespace }),
    { recursive: options.idmap === "ridmap", reason: `map the owners of ${target}` },
  );
  return { operations: [operation], ...(uids && gids && { map: { uids, gids } }) };
}

function planFilesystem(mount: SpecMount, place: Place, context: MountContext): PlannedMount {
  const { target, index, options } = place;
  const type = mount.type ?? "";
  if (type === "" || type === "none") {
    throw invalidArgument(`Cannot mount at ${target}: it has neither a type nor bind or rbind`);
  }
  const borrowed = borrowedSource(type, context.namespaces);
  if (borrowed !== undefined) {
    return planBindMount(
      { destination: target, source: borrowed },
      { ...place, options: { ...options, recursive: true, data: [] } },
      context,
    );
  }
  const name = `mount.${index}`;
  const held = register(name);
  // Mount points below a tmpfs are made first.
  const isLate = type === "tmpfs" && (options.set & MOUNT_ATTR.RDONLY) !== 0;
  const isDeviceReadOnly = (options.set & MOUNT_ATTR.RDONLY) !== 0 && !VIRTUAL.has(type);
  const readOnly = { set: MOUNT_ATTR.RDONLY, clear: 0 };
  return {
    detached: {
      mount: held,
      target,
      side: OF_USER_NAMESPACE.has(type) ? "container" : "supervisor",
      what: type,
      targetKind: "directory",
      asked: !target.startsWith("/proc/"),
      make: [
        ...newFilesystem({
          type,
          source: mount.source === undefined || mount.source === "" ? type : mount.source,
          options: [...options.data, ...(isDeviceReadOnly ? [["ro", null] as const] : [])],
          attributes: isLate ? options.set & ~MOUNT_ATTR.RDONLY : options.set,
          result: name,
          what: `${type} for ${target}`,
          hints: {
            ENODEV: `The kernel has no file system "${type}"`,
            EINVAL: `The file system does not take the options ${options.data.map(([key]) => key).join(", ")}`,
          },
        }),
        ...options.propagations.map((propagation) => propagate(held, propagation, target)),
      ],
    },
    last: isLate ? setAttributes(held, readOnly, false, target) : [],
  };
}

/** File systems that show a namespace of the host's cannot be made anew in a user namespace: the host's stand in for them. */
function borrowedSource(type: string, namespaces: OciNamespaces): string | undefined {
  if (!namespaces.hasUserNamespace) return undefined;
  if (type === "sysfs" && !namespaces.isNew("network")) return "/sys";
  if (type === "proc" && !namespaces.has("pid")) return "/proc";
  if (type === "mqueue" && !namespaces.has("ipc")) return "/dev/mqueue";
  return undefined;
}

/**
 * /sys/fs/cgroup: with a cgroup namespace fresh mounts of what the container is in, without one binds of its own groups (v1), or
 * of the whole tree (v2).
 */
function planCgroups(target: string, options: MountOptions, context: MountContext): PlannedMount[] {
  const writable = (options.set & MOUNT_ATTR.RDONLY) === 0;
  const { cgroup, namespaces, cgroupsPath } = context;
  const isOwn = namespaces.has("cgroup");
  if (!isOwn && cgroup.mounts === null) {
    const bind = { destination: target, source: "/sys/fs/cgroup" };
    const place = { target, index: -1, options: { ...options, recursive: true } };
    return [planBindMount(bind, place, context)];
  }
  const mounts = planCgroupMounts(cgroup.mounts, writable);
  const placed = mounts.map((mount, index) => ({
    ...mount,
    target: mount.target.replace("/sys/fs/cgroup", target),
    targetKind: index === 0 ? ("directory" as const) : mount.targetKind,
  }));
  if (isOwn) return placed.map((detached) => ({ detached, last: [] }));
  const [base, ...hierarchies] = placed;
  return [
    ...(base ? [{ detached: base, last: [] }] : []),
    ...hierarchies.map((mount) => ({
      detached: groupBind(mount, cgroupsPath, options),
      last: [],
    })),
  ];
}

function groupBind(
  mount: DetachedMount,
  cgroupsPath: string,
  options: MountOptions,
): DetachedMount {
  const hierarchy = mount.target.slice(mount.target.lastIndexOf("/") + 1);
  const source = `/sys/fs/cgroup/${hierarchy}${cgroupsPath}`;
  return {
    ...mount,
    side: "supervisor",
    what: source,
    make: [
      cloneTree({
        from: source,
        result: mount.mount.register,
        recursive: false,
        reason: `open ${source} to bind it`,
      }),
      ...setAttributes(mount.mount, { set: options.set, clear: 0 }, false, mount.target),
      propagate(mount.mount, PRIVATE_BY_DEFAULT, mount.target),
    ],
  };
}
