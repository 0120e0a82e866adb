import { invalidArgument } from "../base/error.ts";
import { type Operation, type Register, call, register } from "../base/operation.ts";
import { AT, MOUNT_ATTR, MOUNT_ATTR_SIZE, MS, O, OPEN_HOW_SIZE } from "../kernel/flags.ts";
import {
  type DetachedMount,
  cloneTree,
  mountAttributes,
  newFilesystem,
  openHow,
  setMountAttributes,
} from "./mount-operations.ts";

export interface BindRequest {
  /** Absolute host path, links resolved; it exists. */
  readonly source: string;
  /** What of it is bound: a path below it, found as if the source were the root of all. Absent: the source itself. */
  readonly subpath?: string;
  readonly target: string;
  readonly sourceKind: "directory" | "file";
  readonly readOnly: boolean;
  /** A read-only bind leaves what is mounted below it writable. */
  readonly submountsWritable?: boolean;
  /** Devices in it are dead. */
  readonly noDevices?: boolean;
  /** private, rprivate, slave, rslave, shared, rshared; "" is rprivate. */
  readonly propagation: string;
  /** Take along what is mounted below the source; docker's default. */
  readonly recursive: boolean;
  /**
   * The user namespace whose map the bind gets: the container's (ids on disk show as they are), or one made from
   * ownerMapText for a `:me` bind; null in the host's user namespace.
   */
  readonly idmap: Register | null;
  /** An idmap that must hold: a `:me` bind without its map would be another thing than was asked for. */
  readonly idmapRequired: boolean;
}

const PROPAGATION: Readonly<Record<string, { flag: number; recursive: boolean }>> = {
  "": { flag: MS.PRIVATE, recursive: true },
  private: { flag: MS.PRIVATE, recursive: false },
  rprivate: { flag: MS.PRIVATE, recursive: true },
  slave: { flag: MS.SLAVE, recursive: false },
  rslave: { flag: MS.SLAVE, recursive: true },
  shared: { flag: MS.SHARED, recursive: false },
  rshared: { flag: MS.SHARED, recursive: true },
};

/**
 * A bind of a host path. Supervisor side, in the host's tree; `index` makes its registers unique.
 *
 * With an idmap that the file system (or one mounted below) does not support, the map is left out for what lacks it:
 * there, files show as nobody's, as all of them do under docker's userns-remap. That is stricter, never wider.
 *
 * @throws invalid-argument for an unknown propagation
 */
export function planBind(request: BindRequest, index: number): DetachedMount {
  const propagation = PROPAGATION[request.propagation];
  if (propagation === undefined) {
    throw invalidArgument(
      `Cannot bind ${JSON.stringify(request.source)}: there is no propagation "${request.propagation}"`,
      `Use one of ${Object.keys(PROPAGATION).filter(Boolean).join(", ")}`,
    );
  }
  const name = `bind.${index}`;
  const mount = register(name);
  const { source, recursive } = request;
  const make: Operation[] = planSource(request, name);
  if (request.idmap !== null) make.push(...planIdmap(request, mount, request.idmap));
  if (request.noDevices === true) {
    make.push(
      setMountAttributes(mount, mountAttributes({ set: MOUNT_ATTR.NODEV }), {
        recursive,
        reason: `make devices in ${source} dead`,
      }),
    );
  }
  if (request.readOnly) {
    make.push(
      setMountAttributes(mount, mountAttributes({ set: MOUNT_ATTR.RDONLY }), {
        recursive: recursive && request.submountsWritable !== true,
        reason: `make the bind of ${source} read-only`,
      }),
    );
  }
  // A clone of a shared mount is its peer already; a shared bind of a private mount would have no peer at all.
  if (propagation.flag !== MS.SHARED) {
    make.push(
      setMountAttributes(mount, mountAttributes({ propagation: propagation.flag }), {
        recursive: propagation.recursive,
        reason: `set how mounts below ${source} propagate`,
      }),
    );
  }
  return {
    mount,
    target: request.target,
    side: "supervisor",
    make,
    what: source,
    targetKind: request.sourceKind,
  };
}

/** A container may have made any link below the source: the kernel resolves a path there in one call, and never out of it. */
function planSource(request: BindRequest, name: string): Operation[] {
  const { source, recursive, subpath } = request;
  if (subpath === undefined) {
    return [
      cloneTree({
        from: source,
        result: name,
        recursive,
        reason: `open ${source} to bind it`,
        hints: { ENOENT: `${source} does not exist on the host` },
      }),
    ];
  }
  const [root, path] = [`${name}.root`, `${name}.path`];
  return [
    call("openat", [AT.FDCWD, source, O.PATH | O.DIRECTORY | O.CLOEXEC, 0], `open ${source}`, {
      result: root,
    }),
    call(
      "openat2",
      [register(root), subpath, openHow(O.PATH), OPEN_HOW_SIZE],
      `find ${subpath} in ${source}`,
      { result: path, hints: { ENOENT: `Make ${subpath} in the volume first` } },
    ),
    cloneTree({
      from: register(path),
      result: name,
      recursive,
      reason: `open ${subpath} in ${source} to bind it`,
    }),
  ];
}

function planIdmap(request: BindRequest, mount: Register, userNamespace: Register): Operation[] {
  const { source } = request;
  const attributes = mountAttributes({ set: MOUNT_ATTR.IDMAP, userNamespace });
  const outcome = register("idmapped");
  const idmap = (flags: number, reason: string, mayFail: boolean): Operation =>
    call("mount_setattr", [mount, "", AT.EMPTY_PATH | flags, attributes, MOUNT_ATTR_SIZE], reason, {
      result: outcome.register,
      ...(mayFail && { okErrors: ["EINVAL", "EPERM"] as const }),
      hints: {
        EINVAL: `The file system of ${source} cannot map owners; bind it without :me`,
        EPERM: `${source} is on a mount that maps owners already; bind it without :me`,
      },
    });
  const reason = `show the owners of ${source} as they are on disk`;
  if (request.idmapRequired) {
    return [idmap(0, `make the owner of ${source} and the container's user one`, false)];
  }
  if (!request.recursive) return [idmap(0, reason, true)];
  return [
    idmap(AT.RECURSIVE, reason, true),
    {
      control: "branch",
      reason: `map ${source} alone when something mounted below it cannot be mapped`,
      ifNegative: outcome,
      then: [idmap(0, reason, true)],
    },
  ];
}

const FLAGS: Readonly<Record<string, { set: number; clear: number }>> = {
  ro: { set: MOUNT_ATTR.RDONLY, clear: 0 },
  rw: { set: 0, clear: MOUNT_ATTR.RDONLY },
  nosuid: { set: MOUNT_ATTR.NOSUID, clear: 0 },
  suid: { set: 0, clear: MOUNT_ATTR.NOSUID },
  nodev: { set: MOUNT_ATTR.NODEV, clear: 0 },
  dev: { set: 0, clear: MOUNT_ATTR.NODEV },
  noexec: { set: MOUNT_ATTR.NOEXEC, clear: 0 },
  exec: { set: 0, clear: MOUNT_ATTR.NOEXEC },
  noatime: { set: MOUNT_ATTR.NOATIME, clear: MOUNT_ATTR.STRICTATIME },
  atime: { set: 0, clear: MOUNT_ATTR.NOATIME },
  relatime: { set: 0, clear: MOUNT_ATTR.ATIME_MASK },
  norelatime: { set: 0, clear: 0 },
  strictatime: { set: MOUNT_ATTR.STRICTATIME, clear: MOUNT_ATTR.NOATIME },
  nostrictatime: { set: 0, clear: MOUNT_ATTR.STRICTATIME },
  nodiratime: { set: MOUNT_ATTR.NODIRATIME, clear: 0 },
  diratime: { set: 0, clear: MOUNT_ATTR.NODIRATIME },
  // Accepted because docker accepts them; a tmpfs has nothing to write back, and propagation is always private.
  sync: { set: 0, clear: 0 },
  async: { set: 0, clear: 0 },
  dirsync: { set: 0, clear: 0 },
  mand: { set: 0, clear: 0 },
  nomand: { set: 0, clear: 0 },
  private: { set: 0, clear: 0 },
  rprivate: { set: 0, clear: 0 },
};

const VALUES: Readonly<Record<string, RegExp>> = {
  size: /^\d+[kKmMgG%]?$/,
  nr_blocks: /^\d+[kKmMgG]?$/,
  nr_inodes: /^\d+[kKmMgG]?$/,
  mode: /^[0-7]{1,4}$/,
  uid: /^\d+$/,
  gid: /^\d+$/,
  mpol: /^[\w:=,-]+$/,
};

export interface TmpfsRequest {
  readonly target: string;
  /** docker's words: `size=64m`, `mode=1770`, `exec`. */
  readonly options: readonly string[];
  readonly readOnly: boolean;
}

/**
 * A tmpfs that the user asked for: noexec, nosuid and nodev unless told otherwise, mode 1777, at most half of the memory,
 * as docker's. Container side; ids are those inside. `index` makes its registers unique.
 *
 * @throws invalid-argument for an unknown option
 */
export function planTmpfs(request: TmpfsRequest, index: number): DetachedMount {
  let attributes: number = MOUNT_ATTR.NOEXEC | MOUNT_ATTR.NOSUID | MOUNT_ATTR.NODEV;
  if (request.readOnly) attributes |= MOUNT_ATTR.RDONLY;
  const values = new Map<string, string>([["mode", "1777"]]);
  for (const word of request.options) {
    const flag = FLAGS[word];
    if (flag !== undefined) {
      attributes = (attributes & ~flag.clear) | flag.set;
      continue;
    }
    const [, key, value] = /^([a-z_]+)=(.*)$/.exec(word) ?? [];
    if (key === undefined || value === undefined || VALUES[key]?.test(value) !== true) {
      throw invalidArgument(
        `Cannot mount a tmpfs at ${JSON.stringify(request.target)}: invalid tmpfs option ${JSON.stringify(word)}`,
        `Use flags such as ro, exec, suid, or ${Object.keys(VALUES).join("=, ")}=`,
      );
    }
    values.set(key, value);
  }
  const name = `tmpfs.${index}`;
  return {
    mount: register(name),
    target: request.target,
    side: "container",
    what: "a tmpfs",
    targetKind: "directory",
    make: newFilesystem({
      type: "tmpfs",
      options: [...values],
      attributes,
      result: name,
      what: "a tmpfs",
      hints: { EINVAL: `The kernel refuses the options ${request.options.join(",")}` },
    }),
  };
}
