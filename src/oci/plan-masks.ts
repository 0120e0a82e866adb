import { statSync } from "node:fs";
import { invalidArgument } from "../base/error.ts";
import { call, type Operation, register } from "../base/operation.ts";
import { MOUNT_ATTR, O, OPEN_HOW_SIZE } from "../kernel/flags.ts";
import {
  type PathPlaces,
  planMaskMaterial,
  planMasks,
  planReadOnlyPaths,
} from "../namespaces/masked-paths.ts";
import { cloneTree, moveMount, newFilesystem, openHow } from "../namespaces/mount-operations.ts";
import type { SpecMount } from "../base/runtime-spec.ts";

export interface MaskPlan {
  /** Before the host's tree is left. Container side. */
  readonly material: readonly Operation[];
  /** When everything is attached. Container side. */
  readonly apply: readonly Operation[];
}

type Kind = "file" | "directory" | "unknown" | "missing";

/**
 * `linux.maskedPaths` and `linux.readonlyPaths`. What is in a fresh proc or sysfs is what the host's have; of other paths it
 * shows at the start what they are.
 * @throws invalid-argument for a path that is not absolute
 */
export function planHiddenPaths(
  masked: readonly string[],
  readOnly: readonly string[],
  { mounts, kernel }: { mounts: readonly SpecMount[]; kernel: PathPlaces["mounts"] },
): MaskPlan {
  for (const path of [...masked, ...readOnly]) {
    if (!path.startsWith("/")) {
      throw invalidArgument(`Cannot hide ${JSON.stringify(path)}: the path is not absolute`);
    }
  }
  const kernels = ["proc", "sysfs"].filter((type) =>
    mounts.some((mount) => mount.type === type && mount.destination === kernelPlace(type)),
  );
  const entries = masked.map((path) => ({ path, kind: kindOf(path, kernels) }));
  const known = entries.flatMap(({ path, kind }) =>
    kind === "file" || kind === "directory" ? [{ path, kind }] : [],
  );
  const unknown = entries.filter(({ kind }) => kind === "unknown").map(({ path }) => path);
  const there = readOnly.filter((path) => kindOf(path, kernels) !== "missing");
  const places = { root: register("rootfs"), mounts: kernel };
  return {
    material: [
      ...(known.length > 0 ? planMaskMaterial(known) : []),
      ...unknown.flatMap(materialFor),
    ],
    apply: [
      ...planReadOnlyPaths(there, places),
      ...planMasks(known, places),
      ...unknown.flatMap(maskUnknown),
    ],
  };
}

function kernelPlace(type: string): string {
  return type === "proc" ? "/proc" : "/sys";
}

function kindOf(path: string, kernels: readonly string[]): Kind {
  const isKernels = kernels.some((type) => path.startsWith(`${kernelPlace(type)}/`));
  if (!isKernels) return "unknown";
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined) return "missing";
  return status.isDirectory() ? "directory" : "file";
}

function materialFor(path: string, index: number): Operation[] {
  return [
    cloneTree({
      from: "/dev/null",
      result: `hide.file.${index}`,
      recursive: false,
      reason: `clone /dev/null to hide ${path}`,
    }),
    ...newFilesystem({
      type: "tmpfs",
      options: [["mode", "755"]],
      attributes: MOUNT_ATTR.RDONLY | MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV | MOUNT_ATTR.NOEXEC,
      result: `hide.directory.${index}`,
      what: "an empty directory",
    }),
  ];
}

function maskUnknown(path: string, index: number): Operation[] {
  const root = register("rootfs");
  const target = register("target");
  const file = moveMount(register(`hide.file.${index}`), target, `hide ${path}`);
  return [
    call("openat2", [root, path.slice(1), openHow(O.PATH), OPEN_HOW_SIZE], `look for ${path}`, {
      result: "target",
      okErrors: ["ENOENT", "ENOTDIR"],
    }),
    {
      control: "branch",
      reason: `hide ${path} where it is`,
      ifNegative: target,
      then: [],
      otherwise: [
        // A file does not go over a directory: EINVAL.
        { ...file, result: "hidden", okErrors: ["EINVAL", "ENOTDIR"] },
        {
          control: "branch",
          reason: `hide ${path} when it is a directory`,
          ifNegative: register("hidden"),
          then: [moveMount(register(`hide.directory.${index}`), target, `hide ${path}`)],
        },
      ],
    },
  ];
}
