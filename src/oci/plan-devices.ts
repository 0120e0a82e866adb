import { existsSync } from "node:fs";
import { dirname, basename, normalize } from "node:path";
import { invalidArgument } from "../base/error.ts";
import { call, type Operation, register } from "../base/operation.ts";
import { AT, S_IF } from "../kernel/flags.ts";
import { closeDescriptor, openat2Raw, statusAt } from "../kernel/files.ts";
import { DEFAULT_DEVICES, deviceNumber } from "../namespaces/devices.ts";
import { cloneTree, moveMount, openTarget } from "../namespaces/mount-operations.ts";
import type { SpecDevice, SpecMount } from "../base/runtime-spec.ts";

/** Names in /dev beside the devices (runtime-linux.md, "Dev symbolic links"). */
const LINKS: readonly (readonly [string, string])[] = [
  ["fd", "/proc/self/fd"],
  ["stdin", "/proc/self/fd/0"],
  ["stdout", "/proc/self/fd/1"],
  ["stderr", "/proc/self/fd/2"],
];

const TYPES: Readonly<Record<string, number>> = {
  b: S_IF.BLK,
  c: S_IF.CHR,
  u: S_IF.CHR,
  p: S_IF.FIFO,
};

interface Node {
  readonly path: string;
  /** Type and permission bits. */
  readonly mode: number;
  readonly major: number;
  readonly minor: number;
  readonly uid: number;
  readonly gid: number;
}

export interface DevicePlan {
  /** Clones of the host's nodes, for containers in a user namespace, where none can be made. Supervisor side. */
  readonly prepare: readonly Operation[];
  /** Makes nodes and links. In the container's tree, after the mounts, before what is read-only becomes so. */
  readonly make: readonly Operation[];
}

/**
 * The default devices and those of `linux.devices`. Nothing when the host's /dev is bound in.
 * @throws invalid-argument also when another file is at a device's path
 */
export function planDevices(options: {
  readonly devices: readonly SpecDevice[];
  readonly mounts: readonly SpecMount[];
  readonly rootfs: string;
  readonly hasUserNamespace: boolean;
}): DevicePlan {
  const { devices, mounts, rootfs, hasUserNamespace } = options;
  const dev = mounts.find(({ destination }) => normalize(`/${destination}/`) === "/dev/");
  const isHosts = dev?.type === "bind" || dev?.options?.some((word) => /^r?bind$/.test(word));
  if (isHosts === true) return { prepare: [], make: [] };
  const nodes = new Map<string, Node>();
  for (const { path, major, minor, mode } of DEFAULT_DEVICES) {
    nodes.set(path, { path, mode: S_IF.CHR | mode, major, minor, uid: 0, gid: 0 });
  }
  for (const device of devices) nodes.set(normalize(device.path), readDevice(device));
  // What has a mount above its place cannot be there already.
  const missing = [...nodes.values()].filter(
    (node) => isCovered(node.path, mounts) || !isThere(rootfs, node),
  );
  const links = planLinks();
  if (!hasUserNamespace) return { prepare: [], make: [...missing.flatMap(makeNode), ...links] };
  return {
    prepare: missing.map(({ path }, index) =>
      cloneTree({
        from: path,
        result: `device.${index}`,
        recursive: false,
        reason: `open the device ${path}`,
        hints: { ENOENT: `The host has no ${path} to give` },
      }),
    ),
    make: [
      ...missing.flatMap(({ path }, index) => [
        ...openTarget({ root: register("rootfs"), path, kind: "file", result: "target" }),
        moveMount(register(`device.${index}`), register("target"), `put ${path} in place`),
      ]),
      ...links,
    ],
  };
}

function readDevice(device: SpecDevice): Node {
  const { path, type, major, minor, fileMode, uid, gid } = device;
  const kind = TYPES[type];
  if (kind === undefined) {
    throw invalidArgument(`Cannot make the device ${path}: there is no type "${type}"`);
  }
  if (!path.startsWith("/")) {
    throw invalidArgument(`Cannot make the device ${path}: its path is not absolute`);
  }
  if (type !== "p" && (major === undefined || minor === undefined)) {
    throw invalidArgument(`Cannot make the device ${path}: its major or minor number is missing`);
  }
  return {
    path: normalize(path),
    mode: kind | ((fileMode ?? 0o666) & 0o7777),
    major: major ?? 0,
    minor: minor ?? 0,
    uid: uid ?? 0,
    gid: gid ?? 0,
  };
}

function isCovered(path: string, mounts: readonly SpecMount[]): boolean {
  return mounts.some(({ destination }) => path.startsWith(normalize(`/${destination}/`)));
}

const O_PATH_DIRECTORY = 0o10200000;
const RESOLVE_IN_ROOT = 0x10;

/** @throws invalid-argument when something else is at the path */
function isThere(rootfs: string, node: Node): boolean {
  const root = openat2Raw(AT.FDCWD, rootfs, { flags: O_PATH_DIRECTORY });
  if (root < 0) return false;
  const directory = openat2Raw(root, dirname(node.path), {
    flags: O_PATH_DIRECTORY,
    resolve: RESOLVE_IN_ROOT,
  });
  closeDescriptor(root);
  if (directory < 0) return false;
  const found = statusAt(directory, basename(node.path));
  closeDescriptor(directory);
  if (found === null) return false;
  const type = 0o170000;
  const isSame =
    (found.mode & type) === (node.mode & type) &&
    found.major === node.major &&
    found.minor === node.minor;
  if (isSame) return true;
  throw invalidArgument(
    `Cannot make the device ${node.path}: the root file system has something else there`,
  );
}

/** The umask is 0 meanwhile. */
function makeNode(node: Node): Operation[] {
  const { path, mode, major, minor, uid, gid } = node;
  const parent = dirname(path);
  const root = register("rootfs");
  const isInDev = parent === "/dev";
  const directory = isInDev ? register("dev") : register("target");
  return [
    ...(isInDev ? [] : openTarget({ root, path: parent, kind: "directory", result: "target" })),
    call(
      "mknodat",
      [directory, basename(path), mode, deviceNumber(major, minor)],
      `make the device ${path}`,
      { hints: { EPERM: "It takes CAP_MKNOD" }, okErrors: ["EEXIST"] },
    ),
    ...(uid + gid === 0
      ? []
      : [
          call(
            "fchownat",
            [directory, basename(path), uid, gid, AT.SYMLINK_NOFOLLOW],
            `give ${path} to its owner`,
          ),
        ]),
  ];
}

function planLinks(): Operation[] {
  const dev = register("dev");
  const core = existsSync("/proc/kcore") ? ([["core", "/proc/kcore"]] as const) : [];
  return [
    ...[...LINKS, ...core].map(([name, target]) =>
      call("symlinkat", [target, dev, name], `link /dev/${name} to ${target}`, {
        okErrors: ["EEXIST"],
      }),
    ),
    // A node of the image's own would open the host's terminals.
    call("unlinkat", [dev, "ptmx", 0], "remove a ptmx that is there", { okErrors: ["ENOENT"] }),
    call("symlinkat", ["pts/ptmx", dev, "ptmx"], "link /dev/ptmx to pts/ptmx"),
  ];
}
