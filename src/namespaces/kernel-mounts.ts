import { type Operation, type Register, call, register } from "../base/operation.ts";
import { AT, CLONE, MOUNT_ATTR, MS } from "../kernel/flags.ts";
import {
  type DetachedMount,
  attachMount,
  cloneTree,
  mountAttributes,
  newFilesystem,
  setMountAttributes,
} from "./mount-operations.ts";

const { NODEV, NOEXEC, NOSUID, RDONLY } = MOUNT_ATTR;
const SEALED = NOSUID | NOEXEC | NODEV;

const PROC_HINTS = {
  EPERM:
    "The kernel gives a fresh proc only where the engine's own /proc is wholly visible: run the engine outside of a container, or use --userns=host",
} as const;

/** Stops mounts of the container from reaching the host, before its tree is made. Container side. */
export function planPrivateTree(): Operation[] {
  return [
    call(
      "mount_setattr",
      [AT.FDCWD, "/", AT.RECURSIVE, mountAttributes({ propagation: MS.PRIVATE }), 32],
      "keep the container's mounts from the host",
    ),
  ];
}

/** A fresh proc of the pid namespace that the process is in. Container side. */
export function planProc(): DetachedMount {
  return {
    mount: register("proc"),
    target: "/proc",
    side: "container",
    what: "a fresh proc",
    targetKind: "directory",
    make: newFilesystem({
      type: "proc",
      options: [],
      attributes: SEALED,
      result: "proc",
      what: "a fresh proc",
      hints: PROC_HINTS,
    }),
  };
}

/**
 * sysfs, read-only unless `writable` (privileged). With a network namespace of its own (or a joined one whose user
 * namespace is joined too): a fresh one, made on the container side. In the host's network namespace: a clone of the
 * host's /sys without what is mounted below it, made on the supervisor side.
 */
export function planSysfs(options: { hostNetwork: boolean; writable: boolean }): DetachedMount {
  const attributes = SEALED | (options.writable ? 0 : RDONLY);
  const shape = { mount: register("sysfs"), target: "/sys", targetKind: "directory" } as const;
  if (!options.hostNetwork) {
    return {
      ...shape,
      side: "container",
      what: "a fresh sysfs",
      make: newFilesystem({
        type: "sysfs",
        options: [],
        attributes,
        result: "sysfs",
        what: "a fresh sysfs",
      }),
    };
  }
  return {
    ...shape,
    side: "supervisor",
    what: "the host's sysfs",
    make: [
      cloneTree({
        from: "/sys",
        result: "sysfs",
        recursive: false,
        reason: "clone the host's /sys",
      }),
      setMountAttributes(
        register("sysfs"),
        mountAttributes({ set: attributes, propagation: MS.PRIVATE }),
        {
          recursive: false,
          reason: options.writable ? "restrict the clone" : "make the clone read-only",
        },
      ),
    ],
  };
}

/** POSIX message queues of the container's IPC namespace. Container side. */
export function planMessageQueues(): DetachedMount {
  return {
    mount: register("mqueue"),
    target: "/dev/mqueue",
    side: "container",
    what: "message queues",
    targetKind: "directory",
    make: newFilesystem({
      type: "mqueue",
      options: [],
      attributes: SEALED,
      result: "mqueue",
      what: "message queues",
    }),
  };
}

/** Pseudo terminals of the container alone; they belong to group tty (5) inside. Container side. */
export function planTerminals(): DetachedMount {
  return {
    mount: register("devpts"),
    target: "/dev/pts",
    side: "container",
    what: "its own pseudo terminals",
    targetKind: "directory",
    make: newFilesystem({
      type: "devpts",
      options: [
        ["newinstance", null],
        ["ptmxmode", "0666"],
        ["mode", "0620"],
        ["gid", "5"],
      ],
      attributes: NOSUID | NOEXEC,
      result: "devpts",
      what: "its own pseudo terminals",
    }),
  };
}

export const DEFAULT_SHM_BYTES: number = 64 * 1024 * 1024;

/** /dev/shm of the container alone. Container side. `bytes` 0: docker's 64 MiB. */
export function planSharedMemory(bytes: number): DetachedMount {
  return {
    mount: register("shm"),
    target: "/dev/shm",
    side: "container",
    what: "shared memory",
    targetKind: "directory",
    make: newFilesystem({
      type: "tmpfs",
      options: [
        ["mode", "1777"],
        ["size", String(bytes || DEFAULT_SHM_BYTES)],
      ],
      attributes: SEALED,
      result: "shm",
      source: "shm",
      what: "shared memory",
    }),
  };
}

/** --ipc=host: the host's /dev/shm, or what else is mounted at a host path. Supervisor side. */
export function planJoinedMemory(hostPath: string): DetachedMount {
  return {
    mount: register("shm"),
    target: "/dev/shm",
    side: "supervisor",
    what: "the host's shared memory",
    targetKind: "directory",
    make: [
      cloneTree({ from: hostPath, result: "shm", recursive: false, reason: `clone ${hostPath}` }),
      restrictMemory(),
    ],
  };
}

/**
 * --ipc=container:ID: the /dev/shm of the container whose IPC namespace is joined. Supervisor side.
 *
 * The kernel clones only mounts of one's own mount namespace, so a short-lived process enters that container's, and
 * leaves the clone in the descriptor table that it shares.
 *
 * @param pidfd of the other container's first process
 */
export function planDonorMemory(pidfd: Register | number): DetachedMount {
  return {
    mount: register("shm"),
    target: "/dev/shm",
    side: "supervisor",
    what: "the other container's shared memory",
    targetKind: "directory",
    make: [
      {
        control: "fork",
        flags: CLONE.FILES | CLONE.PIDFD,
        pid: "donor",
        pidfd: "donor.pidfd",
        reason: "start a process that looks into the other container",
        child: [
          call("setns", [pidfd, CLONE.NEWNS], "enter the other container's mounts", {
            hints: { ESRCH: "The other container has ended; start it first" },
          }),
          cloneTree({
            from: "/dev/shm",
            result: "shm",
            recursive: false,
            reason: "clone the other container's /dev/shm",
          }),
          call("exit_group", [0], "leave"),
        ],
      },
      call("wait4", [register("donor"), null, 0, null], "reap the process that looked"),
      call("close", [register("donor.pidfd")], "let go of it"),
      restrictMemory(),
    ],
  };
}

function restrictMemory(): Operation {
  return setMountAttributes(
    register("shm"),
    mountAttributes({ set: SEALED, propagation: MS.PRIVATE }),
    { recursive: false, reason: "restrict the clone" },
  );
}

/** A cgroup v1 hierarchy as the host mounts it. */
export interface CgroupHierarchy {
  /** Directory name below /sys/fs/cgroup: `cpu,cpuacct`, `systemd`. */
  readonly directory: string;
  /** The mount options that name it: `["cpu", "cpuacct"]`, or `["name=systemd", "none"]`; empty: the v2 part of a hybrid. */
  readonly options: readonly string[];
}

/**
 * What the container sees at /sys/fs/cgroup, to attach in this order after sysfs: with cgroup v2 one file system, else a
 * tmpfs with a directory for each hierarchy. Read-only unless `writable` (privileged). Container side, after
 * unshare(CLONE_NEWCGROUP): in a user namespace the kernel gives these only to the owner of the cgroup namespace.
 *
 * @param hierarchies of v1 and hybrid hosts; null: v2 alone
 */
export function planCgroupMounts(
  hierarchies: readonly CgroupHierarchy[] | null,
  writable: boolean,
): DetachedMount[] {
  const attributes = SEALED | (writable ? 0 : RDONLY);
  if (hierarchies === null) return [cgroup2("/sys/fs/cgroup", "cgroup", attributes)];
  const directories = hierarchies.map(({ directory }) =>
    call("mkdirat", [register("cgroup"), directory, 0o755], `make /sys/fs/cgroup/${directory}`),
  );
  const links = hierarchies.flatMap(({ directory }) =>
    directory.includes(",")
      ? directory
          .split(",")
          .map((name) =>
            call("symlinkat", [directory, register("cgroup"), name], `link /sys/fs/cgroup/${name}`),
          )
      : [],
  );
  const base: DetachedMount = {
    mount: register("cgroup"),
    target: "/sys/fs/cgroup",
    side: "container",
    what: "a place for cgroups",
    targetKind: "existing",
    make: [
      ...newFilesystem({
        type: "tmpfs",
        options: [["mode", "755"]],
        attributes: SEALED,
        result: "cgroup",
        what: "a place for cgroups",
      }),
      ...directories,
      ...links,
      ...(writable
        ? []
        : [
            setMountAttributes(register("cgroup"), mountAttributes({ set: RDONLY }), {
              recursive: false,
              reason: "make the place for cgroups read-only",
            }),
          ]),
    ],
  };
  return [
    base,
    ...hierarchies.map((hierarchy, index) => hierarchyMount(hierarchy, index, attributes)),
  ];
}

function hierarchyMount(
  hierarchy: CgroupHierarchy,
  index: number,
  attributes: number,
): DetachedMount {
  const target = `/sys/fs/cgroup/${hierarchy.directory}`;
  const result = `cgroup.${index}`;
  if (hierarchy.options.length === 0) return cgroup2(target, result, attributes);
  const what = `cgroup ${hierarchy.directory}`;
  return {
    mount: register(result),
    target,
    side: "container",
    what,
    targetKind: "existing",
    make: newFilesystem({
      type: "cgroup",
      options: hierarchy.options.map((option): [string, string | null] => {
        const at = option.indexOf("=");
        return at < 0 ? [option, null] : [option.slice(0, at), option.slice(at + 1)];
      }),
      attributes,
      result,
      what,
    }),
  };
}

function cgroup2(target: string, result: string, attributes: number): DetachedMount {
  return {
    mount: register(result),
    target,
    side: "container",
    what: "cgroup v2",
    targetKind: "existing",
    make: newFilesystem({ type: "cgroup2", options: [], attributes, result, what: "cgroup v2" }),
  };
}

/** Attaches several, in order. Container side. */
export function attachMounts(mounts: readonly DetachedMount[], root: Register): Operation[] {
  return mounts.flatMap((mount) => attachMount(mount, root));
}
