import { TiffinError } from "../base/error.ts";
import { call, type Operand, type Operation, type Register, register } from "../base/operation.ts";
import { asFileOwner } from "../kernel/as-file-owner.ts";
import {
  AT,
  CLONE,
  FSCONFIG,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MOUNT_ATTR,
  MOUNT_ATTR_SIZE,
  MOVE_MOUNT,
  O,
  OPEN_TREE,
} from "../kernel/flags.ts";

export interface OverlayPlan {
  /** Absolute host paths, the lowest first, as {@link visibleLayers} leaves them; at least one. */
  readonly layers: readonly string[];
  /** Host path of the directory that holds `upper` and `work` (writable-layer.ts). */
  readonly writableDirectory: string;
  /** The container's user namespace; absent: the layers are mounted with the ids that they have. */
  readonly userNamespace?: Register;
  /** First host id of the container's range; 0 without a user namespace. */
  readonly idBase: number;
  /** Of the host, as [6, 18]. */
  readonly kernel: readonly [major: number, minor: number];
  /** Never sync the upper layer: right only for a container that is removed when it ends. */
  readonly volatile?: boolean;
}

/** Overlayfs's own bound (OVL_MAX_STACK). */
export const MAXIMUM_LAYERS = 500;

/** Layers come from archives: nothing in them may steer where overlayfs looks, and both are off on most kernels anyway. */
const OPTIONS = { index: "off", metacopy: "off", redirect_dir: "nofollow" } as const;
const CLONE_FLAGS = OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC;
const DIRECTORY_FLAGS = O.PATH | O.DIRECTORY | O.NOFOLLOW | O.CLOEXEC;
const MS_NODEV = 4;
const MS_REC_PRIVATE = 0x4000 | 0x40000;

const CREATE_HINTS = {
  EINVAL:
    "The kernel's log (dmesg) names the option or directory; work/incompat/volatile left by a crash is one cause",
  EBUSY:
    "The container's writable layer is mounted already: is another engine using the same root?",
  ENODEV: "The kernel has no overlayfs: load the module with modprobe overlay",
  ENOENT: "A layer is missing on disk: tiffin system check tells which",
} as const;

/**
 * Mounts a container's root: layers and a writable directory as one tree. Runs on the host's side, as root; at the end
 * register `rootfs` holds the mount, detached, and the container side attaches it.
 *
 * With a user namespace each layer is seen through an idmapped clone, so that files keep plain ids (0, 44, 1000) on disk and one
 * unpacked layer serves all ranges; devices in layers are then dead, as a stranger's archive may bring one of the host's disk.
 * Pure. @throws invalid-argument for more than 500 layers
 */
export function planOverlay(plan: OverlayPlan): Operation[] {
  const count = plan.layers.length;
  if (count > MAXIMUM_LAYERS) {
    throw new TiffinError(
      "invalid-argument",
      `Cannot mount ${count} layers: overlayfs takes at most ${MAXIMUM_LAYERS}`,
      { hint: "Build the image with fewer layers, or flatten it with export and import" },
    );
  }
  if (count === 0) throw new TiffinError("internal", "An overlay needs at least one layer");
  return [...(isByDescriptor(plan) ? planByDescriptor(plan) : planStaged(plan)), checkWritable()];
}

/** Descriptors of detached mounts as layers: composefs-rs issue 64 tells how 6.13 refuses them; 6.15 takes them. */
function isByDescriptor({ kernel: [major, minor] }: OverlayPlan): boolean {
  return major > 6 || (major === 6 && minor >= 15);
}

/**
 * The mounts that only the making of the overlay needed, still detached. The last descriptor of a detached mount ends with a wait
 * for all CPUs (RCU), each by itself: whoever attaches them where a whole tree is unmounted anyway waits once. Pure.
 */
export function overlayClones(plan: OverlayPlan): Register[] {
  if (!isByDescriptor(plan)) return [];
  const shared = sharedDirectory(plan.layers);
  const layers =
    shared === null ? plan.layers.map((_, index) => `overlay.lower.${index}`) : ["overlay.shared"];
  return [...layers, "overlay.writable"].map(register);
}

/**
 * Overlayfs with a work directory that it cannot use mounts read-only and calls that a success. Asking for write access is
 * the question whose answer tells it: EROFS.
 */
function checkWritable(): Operation {
  const writable = 2;
  return call(
    "faccessat2",
    [register("rootfs"), "", writable, AT.EMPTY_PATH],
    "check that the root can be written to",
    {
      hints: {
        EROFS:
          "overlayfs could not use the work directory and mounted read-only; the kernel's log (dmesg) says why",
      },
    },
  );
}

/**
 * The directory in which a LayerStore keeps all of these layers, as SHARED/HEX/diff: one idmapped clone of it serves them all,
 * and the container's mountinfo names each. Null when some are elsewhere.
 */
function sharedDirectory(layers: readonly string[]): string | null {
  const places = layers.map((layer) => /^(.+)\/[0-9a-f]{64}\/diff$/.exec(layer)?.[1]);
  const [first] = places;
  return first !== undefined && places.every((place) => place === first) ? first : null;
}

/** A private copy of the mount that shows a directory, with the container's ids; `result` holds it, detached. */
function cloneMapped(plan: OverlayPlan, directory: string, result: string): Operation[] {
  const { userNamespace } = plan;
  const clone = call(
    "open_tree",
    [AT.FDCWD, directory, CLONE_FLAGS],
    `take a private mount of ${directory}`,
    { result, hints: { ENOENT: "A directory is missing: tiffin system check tells which" } },
  );
  if (userNamespace === undefined) return [clone];
  const attributes: Operand = {
    struct: [
      [8, MOUNT_ATTR.IDMAP],
      [8, 0],
      [8, 0],
      [8, userNamespace],
    ],
  };
  return [
    clone,
    call(
      "mount_setattr",
      [register(result), "", AT.EMPTY_PATH, attributes, MOUNT_ATTR_SIZE],
      `show ${directory} with the container's ids`,
      {
        hints: {
          EINVAL:
            "The file system below does not support idmapped mounts: use ext4, xfs, btrfs or tmpfs, or --userns=host",
        },
      },
    ),
  ];
}

function openIn(directory: string, path: string, result: string): Operation {
  return call("openat", [register(directory), path, DIRECTORY_FLAGS, 0], `open ${path}`, {
    result,
  });
}

function planByDescriptor(plan: OverlayPlan): Operation[] {
  const context = register("overlay.context");
  const set = (key: string, fd: Register, what: string): Operation =>
    call("fsconfig", [context, FSCONFIG.SET_FD, key, null, fd], what, { hints: CREATE_HINTS });
  const shared = sharedDirectory(plan.layers);
  // The first lowerdir+ is the topmost layer.
  const layers = plan.layers
    .toReversed()
    .map((directory, index) => ({ directory, name: `overlay.lower.${index}` }));
  return [
    ...(shared === null ? [] : cloneMapped(plan, shared, "overlay.shared")),
    ...layers.flatMap(({ directory, name }) =>
      shared === null
        ? cloneMapped(plan, directory, name)
        : [openIn("overlay.shared", directory.slice(shared.length + 1), name)],
    ),
    ...cloneMapped(plan, plan.writableDirectory, "overlay.writable"),
    openIn("overlay.writable", "upper", "overlay.upper"),
    openIn("overlay.writable", "work", "overlay.work"),
    call("fsopen", ["overlay", FSOPEN_CLOEXEC], "begin the root's overlay", {
      result: "overlay.context",
      hints: CREATE_HINTS,
    }),
    call("fsconfig", [context, FSCONFIG.SET_STRING, "source", "tiffin", 0], "name the overlay"),
    ...layers.map(({ directory, name }) => set("lowerdir+", register(name), `stack ${directory}`)),
    set("upperdir", register("overlay.upper"), "set the upper directory"),
    set("workdir", register("overlay.work"), "set the work directory"),
    ...Object.entries(OPTIONS).map(([key, value]) =>
      call("fsconfig", [context, FSCONFIG.SET_STRING, key, value, 0], `set ${key}=${value}`),
    ),
    ...(plan.volatile === true
      ? [call("fsconfig", [context, FSCONFIG.SET_FLAG, "volatile", null, 0], "never sync it")]
      : []),
    ...asContainerRoot(plan, [
      call("fsconfig", [context, FSCONFIG.CMD_CREATE, null, null, 0], "make the overlay", {
        hints: CREATE_HINTS,
      }),
    ]),
    call(
      "fsmount",
      [context, FSMOUNT_CLOEXEC, plan.userNamespace === undefined ? 0 : MOUNT_ATTR.NODEV],
      "mount the overlay, detached",
      { result: "rootfs" },
    ),
  ];
}

/**
 * Overlayfs makes things in the work directory as whoever mounts it. Host root has no id on an idmapped directory, the
 * container's root has.
 */
function asContainerRoot(plan: OverlayPlan, steps: readonly Operation[]): Operation[] {
  return asFileOwner(plan.userNamespace === undefined ? 0 : plan.idBase, steps);
}

/**
 * Before 6.15 overlayfs takes layers from attached mounts only, and of the caller's mount namespace. So: a mount
 * namespace that nobody else sees, there a tmpfs over the writable directory, the clones attached in it, short relative
 * names for the layers (mount(2) takes one page of options, and such names need no escaping), the mount cloned, and back.
 */
function planStaged(plan: OverlayPlan): Operation[] {
  const shared = sharedDirectory(plan.layers);
  const layers = plan.layers.toReversed();
  const stage = plan.writableDirectory;
  return [
    call("openat", [AT.FDCWD, "/proc/self/ns/mnt", O.CLOEXEC, 0], "remember the host's mounts", {
      result: "overlay.host",
    }),
    call("unshare", [Number(CLONE.NEWNS)], "leave the host's mounts for a moment"),
    call("mount", [null, "/", null, MS_REC_PRIVATE, null], "keep the mounts here to itself"),
    ...cloneMapped(plan, plan.writableDirectory, "overlay.rw"),
    call("mount", ["tiffin", stage, "tmpfs", 0, "mode=700"], "mount a place for the layers"),
    call("chdir", [stage], "go there"),
    ...(shared === null
      ? []
      : [...cloneMapped(plan, shared, "overlay.layers"), ...attach("overlay.layers", "layers")]),
    ...layers.flatMap((directory, index) => nameLayer(plan, { shared, directory, index })),
    ...attach("overlay.rw", "rw"),
    call("mkdirat", [AT.FDCWD, "root", 0o700], "make the place of the root"),
    ...asContainerRoot(plan, [
      call(
        "mount",
        [
          "tiffin",
          "root",
          "overlay",
          plan.userNamespace === undefined ? 0 : MS_NODEV,
          stagedOptions(plan),
        ],
        "mount the overlay",
        { hints: CREATE_HINTS },
      ),
    ]),
    call("open_tree", [AT.FDCWD, "root", CLONE_FLAGS], "take the overlay out of there", {
      result: "rootfs",
    }),
    call("setns", [register("overlay.host"), Number(CLONE.NEWNS)], "return to the host's mounts"),
    call("chdir", ["/"], "stand at the root again"),
  ];
}

function stagedOptions(plan: OverlayPlan): string {
  return [
    `lowerdir=${plan.layers.map((_, index) => index).join(":")}`,
    "upperdir=rw/upper",
    "workdir=rw/work",
    ...Object.entries(OPTIONS).map(([key, value]) => `${key}=${value}`),
    ...(plan.volatile === true ? ["volatile"] : []),
  ].join(",");
}

/** Gives a layer the name that is its number. */
function nameLayer(
  plan: OverlayPlan,
  layer: { shared: string | null; directory: string; index: number },
): Operation[] {
  const { shared, directory, index } = layer;
  const name = String(index);
  if (shared === null) {
    return [
      ...cloneMapped(plan, directory, `overlay.lower.${index}`),
      ...attach(`overlay.lower.${index}`, name),
    ];
  }
  const target = `layers${directory.slice(shared.length)}`;
  return [call("symlinkat", [target, AT.FDCWD, name], `stack ${directory}`)];
}

/** Attaches a detached mount in the current directory. */
function attach(mount: string, name: string): Operation[] {
  return [
    call("mkdirat", [AT.FDCWD, name, 0o700], `make a place for ${name}`),
    call(
      "move_mount",
      [register(mount), "", AT.FDCWD, name, MOVE_MOUNT.F_EMPTY_PATH],
      `attach ${name}`,
    ),
  ];
}
