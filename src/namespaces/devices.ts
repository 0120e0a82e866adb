import { invalidArgument } from "../base/error.ts";
import { type Operation, type Register, call, register } from "../base/operation.ts";
import { asFileOwner } from "../kernel/as-file-owner.ts";
import { AT, MOUNT_ATTR, O, OPEN_HOW_SIZE, S_IF, TTY_IOCTL } from "../kernel/flags.ts";
import {
  type DetachedMount,
  cloneTree,
  moveMount,
  newFilesystem,
  openHow,
  openTarget,
} from "./mount-operations.ts";

/** A device that the container gets: numbers and kind are read from the host's node when the container starts. */
export interface DeviceNode {
  /** Absolute, inside; below /dev it becomes a node of the container's own /dev. */
  readonly path: string;
  readonly type: "b" | "c";
  readonly major: number;
  readonly minor: number;
  /** Permission bits. */
  readonly mode: number;
  /** As seen inside. */
  readonly uid: number;
  readonly gid: number;
}

function memory(name: string, minor: number): DeviceNode {
  return { path: `/dev/${name}`, type: "c", major: 1, minor, mode: 0o666, uid: 0, gid: 0 };
}

/** The devices of every container (runtime-spec config-linux.md, "Default Devices"). */
export const DEFAULT_DEVICES: readonly DeviceNode[] = [
  memory("null", 3),
  memory("zero", 5),
  memory("full", 7),
  memory("random", 8),
  memory("urandom", 9),
  { path: "/dev/tty", type: "c", major: 5, minor: 0, mode: 0o666, uid: 0, gid: 0 },
];

/** `[name, target]` (runtime-spec runtime-linux.md, "Dev symbolic links"; core as docker makes it). */
const LINKS: readonly (readonly [string, string])[] = [
  ["fd", "/proc/self/fd"],
  ["stdin", "/proc/self/fd/0"],
  ["stdout", "/proc/self/fd/1"],
  ["stderr", "/proc/self/fd/2"],
  ["ptmx", "pts/ptmx"],
  ["core", "/proc/kcore"],
];

export interface DevRequest {
  /** First host id of the container's range, 0 without a user namespace: who owns what is in /dev. */
  readonly idBase: number;
  /** Beside the default ones; a later one replaces an earlier one of the same path. */
  readonly devices: readonly DeviceNode[];
  /** Makes the file that the terminal is mounted on. */
  readonly console: boolean;
}

/**
 * The container's own /dev: a tmpfs with device nodes, links and mount points. Supervisor side: in a user namespace no
 * device node can be made, and a tmpfs made there refuses to open any.
 */
export function planDev(request: DevRequest): DetachedMount {
  const dev = register("dev");
  const { idBase } = request;
  const own = (path: string, uid = 0, gid = 0): Operation[] =>
    uid + gid === 0
      ? []
      : [
          call(
            "fchownat",
            [dev, path, idBase + uid, idBase + gid, AT.SYMLINK_NOFOLLOW],
            `give /dev/${path} to its owner`,
          ),
        ];
  const devices = new Map<string, DeviceNode>();
  for (const device of [...DEFAULT_DEVICES, ...request.devices]) {
    checkPath(device.path);
    if (device.path.startsWith("/dev/")) devices.set(device.path.slice("/dev/".length), device);
  }
  const directories = new Set(["pts", "shm", "mqueue"]);
  for (const path of devices.keys()) {
    const parts = path.split("/");
    for (let end = 1; end < parts.length; end++) directories.add(parts.slice(0, end).join("/"));
  }
  const make = [
    ...newFilesystem({
      type: "tmpfs",
      options: [
        ["mode", "755"],
        ["size", "65536k"],
        ["uid", String(idBase)],
        ["gid", String(idBase)],
      ],
      attributes: MOUNT_ATTR.NOSUID | MOUNT_ATTR.STRICTATIME,
      result: "dev",
      what: "a /dev of its own",
    }),
    ...asFileOwner(
      idBase,
      withoutMask([
        ...[...directories].map((path) => call("mkdirat", [dev, path, 0o755], `make /dev/${path}`)),
        ...[...devices].flatMap(([path, device]) => [
          makeNode(dev, path, device),
          ...own(path, device.uid, device.gid),
        ]),
        ...LINKS.filter(([name]) => !devices.has(name)).map(([name, target]) =>
          call("symlinkat", [target, dev, name], `link /dev/${name} to ${target}`),
        ),
        ...(request.console && !devices.has("console")
          ? [call("mknodat", [dev, "console", S_IF.REG | 0o600, 0], "make a place for the console")]
          : []),
      ]),
    ),
  ];
  return {
    mount: dev,
    target: "/dev",
    side: "supervisor",
    make,
    what: "a /dev of its own",
    targetKind: "directory",
  };
}

/** Modes are as they are asked for, whatever mask the engine was started with. */
function withoutMask(making: readonly Operation[]): Operation[] {
  return [
    call("umask", [0], "let modes be as they are asked for"),
    ...making,
    call("umask", [0o022], "set the file mode creation mask back"),
  ];
}

function checkPath(path: string): void {
  const parts = path.split("/").slice(1);
  if (!path.startsWith("/") || parts.some((part) => part === "" || part === "." || part === "..")) {
    throw invalidArgument(
      `Cannot make a device at ${JSON.stringify(path)}: the path is not plain and absolute`,
    );
  }
}

function makeNode(directory: Register, path: string, device: DeviceNode): Operation {
  const type = device.type === "b" ? S_IF.BLK : S_IF.CHR;
  return call(
    "mknodat",
    [directory, path, type | device.mode, deviceNumber(device.major, device.minor)],
    `make the device /dev/${path}`,
    { hints: { EPERM: "The engine lacks CAP_MKNOD" } },
  );
}

/** The kernel's "new" encoding of a device number for mknod: 12 bits of major, 20 of minor. */
export function deviceNumber(major: number, minor: number): number {
  return (minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12);
}

/**
 * Devices whose path inside is not below /dev: each a bind of the host's node, which keeps the host's owner (it shows as
 * nobody in a user namespace). Supervisor side.
 */
export function planOutsideDevices(
  devices: readonly { hostPath: string; containerPath: string }[],
): DetachedMount[] {
  return devices.map(({ hostPath, containerPath }, index) => {
    checkPath(containerPath);
    return {
      mount: register(`device.${index}`),
      target: containerPath,
      side: "supervisor",
      what: `the device ${hostPath}`,
      targetKind: "file",
      make: [
        cloneTree({
          from: hostPath,
          result: `device.${index}`,
          recursive: false,
          reason: `open the device ${hostPath}`,
        }),
      ],
    };
  });
}

/**
 * A pseudo terminal of the container's own devpts: its master end in register `master` (for the supervisor, which shares the
 * descriptor table), its other end in `slave`. Container side, in the container's tree, once /dev/pts is attached.
 *
 * @param owner who may use it, as seen inside: docker gives it to the container's user
 */
export function planPseudoTerminal(options: {
  root: Register;
  master: string;
  slave: string;
  owner: number;
  rows: number;
  columns: number;
}): Operation[] {
  const { root, master, slave, owner } = options;
  const size = new Uint8Array(new Uint16Array([options.rows, options.columns, 0, 0]).buffer);
  const operations = [
    call(
      "openat2",
      [root, "dev/pts/ptmx", openHow(O.RDWR | O.NOCTTY), OPEN_HOW_SIZE],
      "open a pseudo terminal",
      {
        result: master,
        hints: { ENOSPC: "All pseudo terminals are in use: raise /proc/sys/kernel/pty/max" },
      },
    ),
    call(
      "ioctl",
      [register(master), TTY_IOCTL.TIOCSPTLCK, new Uint8Array(4)],
      "unlock the terminal",
    ),
    call(
      "ioctl",
      [register(master), TTY_IOCTL.TIOCGPTPEER, O.RDWR | O.NOCTTY | O.CLOEXEC],
      "open the terminal's other end",
      { result: slave },
    ),
    call("fchown", [register(slave), owner, -1], "give the terminal to the container's user"),
  ];
  if (options.rows > 0 && options.columns > 0) {
    operations.push(
      call("ioctl", [register(master), TTY_IOCTL.TIOCSWINSZ, size], "set the terminal's size"),
    );
  }
  return operations;
}

/** The terminal of the container's first process as /dev/console; `planDev` had `console` set. Container side. */
export function planConsole(slave: string, root: Register): Operation[] {
  return [
    cloneTree({
      from: register(slave),
      result: "console",
      recursive: false,
      reason: "clone the terminal's node",
    }),
    ...openTarget({ root, path: "/dev/console", kind: "existing", result: "target" }),
    moveMount(register("console"), register("target"), "mount the terminal at /dev/console"),
  ];
}

/** Makes the terminal the controlling one and standard input, output and error. Container side, after setsid. */
export function planControllingTerminal(slave: string): Operation[] {
  return [
    call(
      "ioctl",
      [register(slave), TTY_IOCTL.TIOCSCTTY, 0],
      "make the terminal the controlling one",
    ),
    ...[0, 1, 2].map((fd) =>
      call("dup3", [register(slave), fd, 0], `connect descriptor ${fd} to the terminal`),
    ),
  ];
}
