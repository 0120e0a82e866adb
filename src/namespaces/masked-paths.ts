import { type Operation, type Register, call, register } from "../base/operation.ts";
import { MOUNT_ATTR, O, OPEN_HOW_SIZE } from "../kernel/flags.ts";
import {
  cloneTree,
  moveMount,
  mountAttributes,
  newFilesystem,
  openHow,
  setMountAttributes,
} from "./mount-operations.ts";

export interface MaskedPath {
  readonly path: string;
  readonly kind: "file" | "directory";
}

/** What no container sees: docker's list. A path that the kernel does not have is passed over. */
export const MASKED_PATHS: readonly MaskedPath[] = [
  { path: "/proc/acpi", kind: "directory" },
  { path: "/proc/asound", kind: "directory" },
  { path: "/proc/interrupts", kind: "file" },
  { path: "/proc/kcore", kind: "file" },
  { path: "/proc/keys", kind: "file" },
  { path: "/proc/latency_stats", kind: "file" },
  { path: "/proc/timer_list", kind: "file" },
  { path: "/proc/timer_stats", kind: "file" },
  { path: "/proc/sched_debug", kind: "file" },
  { path: "/proc/scsi", kind: "directory" },
  { path: "/sys/firmware", kind: "directory" },
  { path: "/sys/devices/virtual/powercap", kind: "directory" },
];

/** What every container sees read-only: docker's list. */
export const READ_ONLY_PATHS: readonly string[] = [
  "/proc/bus",
  "/proc/fs",
  "/proc/irq",
  "/proc/sys",
  "/proc/sysrq-trigger",
];

/** docker's list with the throttling counters of each CPU that has them, as docker adds them. */
export function maskedPaths(cpusWithThermalThrottle: readonly number[]): MaskedPath[] {
  return [
    ...MASKED_PATHS,
    ...cpusWithThermalThrottle.map(
      (cpu): MaskedPath => ({
        path: `/sys/devices/system/cpu/cpu${cpu}/thermal_throttle`,
        kind: "directory",
      }),
    ),
  ];
}

/**
 * What masks files and directories, made while the host's tree is still there: a clone of the host's /dev/null for each
 * file (its origin is known, unlike that of the container's), one empty read-only tmpfs for all directories. Container
 * side; {@link planMasks} puts them in place.
 */
export function planMaskMaterial(masked: readonly MaskedPath[]): Operation[] {
  const files = masked.filter((entry) => entry.kind === "file");
  return [
    ...files.map((entry, index) =>
      cloneTree({
        from: "/dev/null",
        result: `null.${index}`,
        recursive: false,
        reason: `clone /dev/null to hide ${entry.path}`,
      }),
    ),
    ...newFilesystem({
      type: "tmpfs",
      options: [["mode", "755"]],
      attributes: MOUNT_ATTR.RDONLY | MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV | MOUNT_ATTR.NOEXEC,
      result: "mask",
      what: "an empty directory",
    }),
  ];
}

/** Where masked and read-only paths are found: never by a way that the image or a volume could lead elsewhere. */
export interface PathPlaces {
  readonly root: Register;
  /** By target: the mounts of /proc and /sys. */
  readonly mounts: ReadonlyMap<string, Register>;
}

/**
 * Hides the paths, which the host's kernel has (the first directory must be there). Container side, in the container's tree, after
 * everything is attached.
 */
export function planMasks(masked: readonly MaskedPath[], places: PathPlaces): Operation[] {
  let file = 0;
  let directories = 0;
  return masked.flatMap((entry) =>
    whenThere(places, entry.path, `hide ${entry.path}`, [
      ...(entry.kind === "file"
        ? hideFile(register(`null.${file++}`), entry.path)
        : hideDirectory(entry.path, directories++ === 0)),
    ]),
  );
}

/** Runs `then` with register `target` open at the path (and closes it), nothing when the path is missing. */
function whenThere(
  places: PathPlaces,
  path: string,
  reason: string,
  then: readonly Operation[],
): Operation[] {
  const target = register("target");
  const [from, name] = fromMount(places, path);
  return [
    call("openat2", [from, name, openHow(O.PATH), OPEN_HOW_SIZE], `look for ${path}`, {
      result: "target",
      okErrors: ["ENOENT", "ENOTDIR"],
    }),
    {
      control: "branch",
      reason,
      ifNegative: target,
      then: [],
      otherwise: then,
    },
  ];
}

function fromMount({ root, mounts }: PathPlaces, path: string): [Register, string] {
  for (const [target, mount] of mounts) {
    if (path.startsWith(`${target}/`)) return [mount, path.slice(target.length + 1)];
  }
  return [root, path.slice(1)];
}

function hideFile(nothing: Register, path: string): Operation[] {
  return [moveMount(nothing, register("target"), `hide ${path} behind /dev/null`)];
}

/**
 * The first directory gets the empty mount itself, the further ones clones of it: so nothing is left over, whose end would
 * cost the exec an RCU grace period, and kernels before 6.15, which clone only what is attached, do it too.
 */
function hideDirectory(path: string, isFirst: boolean): Operation[] {
  const [mask, clone, target] = [register("mask"), register("mask.clone"), register("target")];
  const reason = `hide ${path} behind an empty directory`;
  if (isFirst) return [moveMount(mask, target, reason)];
  return [
    cloneTree({
      from: mask,
      result: clone.register,
      recursive: false,
      reason: "clone the empty directory",
    }),
    moveMount(clone, target, reason),
  ];
}

/** Makes the paths read-only, each by a clone of itself over itself. Container side, in the container's tree. */
export function planReadOnlyPaths(paths: readonly string[], places: PathPlaces): Operation[] {
  const [target, clone] = [register("target"), register("readonly")];
  return paths.flatMap((path) =>
    whenThere(places, path, `make ${path} read-only`, [
      cloneTree({ from: target, result: clone.register, recursive: true, reason: `clone ${path}` }),
      setMountAttributes(clone, mountAttributes({ set: MOUNT_ATTR.RDONLY }), {
        recursive: true,
        reason: `make ${path} read-only`,
      }),
      moveMount(clone, target, `mount ${path} read-only`),
    ]),
  );
}
