import { type Operand, type Operation, type Register, call, register } from "../base/operation.ts";
import {
  AT,
  FSCONFIG,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOUNT_ATTR,
  MOUNT_ATTR_SIZE,
  MOVE_MOUNT,
  O,
  OPEN_HOW_SIZE,
  OPEN_TREE,
  RESOLVE,
  S_IF,
} from "../kernel/flags.ts";

/**
 * A mount that is made detached, held by a descriptor, and attached to the container's tree afterwards. `make` runs on
 * `side` before the container leaves the host's tree; attaching always happens on the container side.
 */
export interface DetachedMount {
  /** Holds the mount's descriptor once `make` has run; negative: there is nothing to attach. */
  readonly mount: Register;
  /** Absolute, in the container's tree. */
  readonly target: string;
  readonly side: "supervisor" | "container";
  readonly make: readonly Operation[];
  /** `a fresh proc`: for reasons. */
  readonly what: string;
  /** What the target must be, and becomes when it is missing; "existing": it is not made. */
  readonly targetKind: "directory" | "file" | "existing";
  /** The target is the user's word: it may not turn out to be the kernel's proc, by a link of the image. */
  readonly asked?: boolean;
  /** After attaching, on the container side, while the register still holds the descriptor. */
  readonly afterwards?: readonly Operation[];
}

/** struct mount_attr. */
export function mountAttributes(fields: {
  set?: number;
  clear?: number;
  propagation?: number;
  userNamespace?: Register;
}): Operand {
  return {
    struct: [
      [8, fields.set ?? 0],
      [8, fields.clear ?? 0],
      [8, fields.propagation ?? 0],
      [8, fields.userNamespace ?? 0],
    ],
  };
}

/** struct open_how of openat2: resolves as if the directory were the root, and never through /proc's magic links. */
export function openHow(flags: number): Operand {
  return {
    struct: [
      [8, flags | O.CLOEXEC],
      [8, 0],
      [8, RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS],
    ],
  };
}

/** struct open_how for names of a file system that the kernel itself fills: no link, and nothing that was mounted over it. */
export function openHowWithin(flags: number): Operand {
  return {
    struct: [
      [8, flags | O.CLOEXEC],
      [8, 0],
      [8, RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS | RESOLVE.NO_MAGICLINKS | RESOLVE.NO_XDEV],
    ],
  };
}

export interface NewFilesystem {
  readonly type: string;
  /** What mount(8) and df(1) show as the device; the type by default. */
  readonly source?: string;
  /** In order; null: a flag without a value. */
  readonly options: readonly (readonly [key: string, value: string | null])[];
  /** MOUNT_ATTR_*. */
  readonly attributes: number;
  readonly result: string;
  /** `a fresh proc` */
  readonly what: string;
  readonly hints?: Operation["hints"];
}

/** fsopen, fsconfig, fsmount: `result` then holds a detached mount of a new file system. */
export function newFilesystem(filesystem: NewFilesystem): Operation[] {
  const { type, what, result } = filesystem;
  const context = register(`${result}.context`);
  const hints = filesystem.hints && { hints: filesystem.hints };
  return [
    call("fsopen", [type, FSOPEN_CLOEXEC], `open ${what}`, { result: context.register, ...hints }),
    call(
      "fsconfig",
      [context, FSCONFIG.SET_STRING, "source", filesystem.source ?? type, 0],
      `name ${what}`,
    ),
    ...filesystem.options.map(([key, value]) =>
      call(
        "fsconfig",
        [context, value === null ? FSCONFIG.SET_FLAG : FSCONFIG.SET_STRING, key, value, 0],
        `set ${key}${value === null ? "" : `=${value}`} on ${what}`,
      ),
    ),
    call("fsconfig", [context, FSCONFIG.CMD_CREATE, null, null, 0], `make ${what}`, hints),
    call("fsmount", [context, FSMOUNT_CLOEXEC, filesystem.attributes], `mount ${what}`, {
      result,
      ...hints,
    }),
  ];
}

/** A detached clone of the tree at an open path, with everything mounted below it. */
export function cloneTree(source: {
  from: Register | string;
  result: string;
  recursive: boolean;
  reason: string;
  hints?: Operation["hints"];
}): Operation {
  const flags = OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC | (source.recursive ? AT.RECURSIVE : 0);
  const args: readonly Operand[] =
    typeof source.from === "string"
      ? [AT.FDCWD, source.from, flags]
      : [source.from, "", flags | AT.EMPTY_PATH];
  return call("open_tree", args, source.reason, {
    result: source.result,
    ...(source.hints && { hints: source.hints }),
  });
}

/** mount_setattr on the mount (or the whole tree) that a descriptor holds. */
export function setMountAttributes(
  mount: Register,
  attributes: Operand,
  options: { recursive: boolean; reason: string },
): Operation {
  return call(
    "mount_setattr",
    [
      mount,
      "",
      AT.EMPTY_PATH | (options.recursive ? AT.RECURSIVE : 0),
      attributes,
      MOUNT_ATTR_SIZE,
    ],
    options.reason,
  );
}

/** Attaches a detached mount where another descriptor points. */
export function moveMount(mount: Register, target: Register, reason: string): Operation {
  return call(
    "move_mount",
    [mount, "", target, "", MOVE_MOUNT.F_EMPTY_PATH | MOVE_MOUNT.T_EMPTY_PATH],
    reason,
    {
      hints: {
        ENOTDIR: "Source and target must both be directories, or both files",
        EINVAL: "Source and target must both be directories, or both files",
      },
    },
  );
}

/** A target that cannot be found or made is so by what the image holds, or the user named: no fault of the engine's. */
const IMAGE_FAULT = "invalid-argument" as const;

/**
 * Opens `path` below the root descriptor as an O_PATH descriptor in `result`; what is missing on the way is made:
 * directories with mode 0755, and the last part as `kind` says. Links on the way lead nowhere outside the root, and not
 * through /proc. Container side.
 */
export function openTarget(target: {
  root: Register;
  path: string;
  kind: DetachedMount["targetKind"];
  result: string;
}): Operation[] {
  const { root, path, kind, result } = target;
  const open = (at: string, into: string, reason: string, missingIsFine: boolean): Operation =>
    call("openat2", [root, at, openHow(O.PATH), OPEN_HOW_SIZE], reason, {
      result: into,
      ...(missingIsFine && { okErrors: ["ENOENT"] as const }),
      code: IMAGE_FAULT,
    });
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.length === 0) return [open("/", result, "open the root", false)];
  const whole = parts.join("/");
  if (kind === "existing") return [open(whole, result, `find ${path}`, false)];

  const making: Operation[] = [];
  let parent = root;
  parts.forEach((part, index) => {
    const at = parts.slice(0, index + 1).join("/");
    const isLast = index === parts.length - 1;
    const next = isLast ? result : index % 2 === 0 ? "even" : "odd";
    making.push(open(at, next, `look for /${at}`, true), {
      control: "branch",
      reason: `make /${at} when it is missing`,
      ifNegative: register(next),
      then: [
        makeEntry(parent, part, { path: `/${at}`, isFile: isLast && kind === "file" }),
        open(at, next, `open /${at}`, false),
      ],
    });
    parent = register(next);
  });
  return [
    open(whole, result, `find ${path}`, true),
    {
      control: "branch",
      reason: `make ${path} when it is missing`,
      ifNegative: register(result),
      then: making,
    },
  ];
}

function makeEntry(
  parent: Register,
  name: string,
  entry: { path: string; isFile: boolean },
): Operation {
  const hints = { EEXIST: `${entry.path} is a link that leads nowhere; choose another target` };
  const more = { hints, code: IMAGE_FAULT } as const;
  // The modes are docker's.
  return entry.isFile
    ? call("mknodat", [parent, name, S_IF.REG | 0o755, 0], `make the file ${entry.path}`, more)
    : call("mkdirat", [parent, name, 0o755], `make the directory ${entry.path}`, more);
}

/**
 * Attaches a detached mount: finds (or makes) its target under `root`. Descriptors stay open: launch/ closes all of them at once, since a call for each would cost more than most calls do.
 * Container side, in the container's own tree.
 */
export function attachMount(mount: DetachedMount, root: Register): Operation[] {
  const target = register("target");
  const operations = [
    ...openTarget({ root, path: mount.target, kind: mount.targetKind, result: "target" }),
    ...(mount.asked === true ? planNotProc(target, mount.target) : []),
    moveMount(mount.mount, target, `mount ${mount.what} at ${mount.target}`),
    ...(mount.afterwards ?? []),
  ];
  return operations;
}

/** Magic number of proc (statfs(2)). */
const PROC_SUPER_MAGIC = 0x9fa0;
const STATFS_SIZE = 120;
const FUTEX_WAIT_PRIVATE = 128;

/**
 * Fails when the descriptor is of a proc: what is mounted over it, or into it, would hide what the kernel tells (CVE-2019-16884,
 * CVE-2023-28642). A plan cannot compare numbers, but futex(2) does: it waits only while the word is the one that is given, and
 * here for no time.
 */
function planNotProc(target: Register, path: string): Operation[] {
  const filesystem = { scratch: "filesystem", size: STATFS_SIZE };
  const noTime = { scratch: "no time", size: 16 };
  return [
    call("fstatfs", [target, filesystem], `look what ${path} is`),
    call(
      "futex",
      [filesystem, FUTEX_WAIT_PRIVATE, PROC_SUPER_MAGIC, noTime, null, 0],
      `find ${path} outside of /proc`,
      {
        okErrors: ["EAGAIN"],
        code: IMAGE_FAULT,
        hints: {
          ETIMEDOUT: `The image makes ${path} a link into /proc, where nothing may be mounted; choose another target`,
        },
      },
    ),
  ];
}

/**
 * The order of attaching: as docker's, parents before what lies below them, else as given; a mount of `later` takes the
 * place of one of `earlier` with the same target.
 */
export function orderMounts(
  earlier: readonly DetachedMount[],
  later: readonly DetachedMount[],
): DetachedMount[] {
  const replaced = new Set(later.map((mount) => clean(mount.target)));
  const all = [...earlier.filter((mount) => !replaced.has(clean(mount.target))), ...later];
  return all
    .map((mount, index) => ({ mount, index, depth: clean(mount.target).split("/").length }))
    .sort((a, b) => a.depth - b.depth || a.index - b.index)
    .map((entry) => entry.mount);
}

/** A path without what says nothing: `//a/./b/` is `a/b`. */
export function clean(path: string): string {
  return path
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/");
}

/** Makes the whole root file system read-only, not what is mounted in it. Container side, after all else. */
export function planReadOnlyRoot(root: Register): Operation[] {
  return [
    setMountAttributes(root, mountAttributes({ set: MOUNT_ATTR.RDONLY }), {
      recursive: false,
      reason: "make the root file system read-only",
    }),
  ];
}
