import { invalidArgument } from "../base/error.ts";
import { MOUNT_ATTR, MS } from "../kernel/flags.ts";
import type { SpecMount } from "../base/runtime-spec.ts";

/** A mount's options, sorted by what they concern (config.md, "Linux mount options"). */
export interface MountOptions {
  readonly bind: boolean;
  readonly recursive: boolean;
  readonly remount: boolean;
  /** MOUNT_ATTR_* of the mount alone, and of everything below it (the options that begin with `r`). */
  readonly set: number;
  readonly clear: number;
  readonly recursiveSet: number;
  readonly recursiveClear: number;
  readonly propagations: readonly Propagation[];
  readonly idmap: "" | "idmap" | "ridmap";
  /** For the file system itself. */
  readonly data: readonly (readonly [key: string, value: string | null])[];
}

export interface Propagation {
  readonly flag: number;
  readonly recursive: boolean;
}

const { RDONLY, NOSUID, NODEV, NOEXEC, NOATIME, STRICTATIME, ATIME_MASK, NODIRATIME, NOSYMFOLLOW } =
  MOUNT_ATTR;

/** With an `r` before them they hold for everything below too. */
const ATTRIBUTES: Readonly<Record<string, readonly [set: number, clear: number]>> = {
  ro: [RDONLY, 0],
  rw: [0, RDONLY],
  nosuid: [NOSUID, 0],
  suid: [0, NOSUID],
  nodev: [NODEV, 0],
  dev: [0, NODEV],
  noexec: [NOEXEC, 0],
  exec: [0, NOEXEC],
  noatime: [NOATIME, ATIME_MASK],
  atime: [0, NOATIME],
  relatime: [0, ATIME_MASK],
  norelatime: [STRICTATIME, ATIME_MASK],
  strictatime: [STRICTATIME, ATIME_MASK],
  nostrictatime: [0, STRICTATIME],
  nodiratime: [NODIRATIME, 0],
  diratime: [0, NODIRATIME],
  nosymfollow: [NOSYMFOLLOW, 0],
  symfollow: [0, NOSYMFOLLOW],
};

export const PROPAGATIONS: Readonly<Record<string, Propagation>> = {
  private: { flag: MS.PRIVATE, recursive: false },
  rprivate: { flag: MS.PRIVATE, recursive: true },
  slave: { flag: MS.SLAVE, recursive: false },
  rslave: { flag: MS.SLAVE, recursive: true },
  shared: { flag: MS.SHARED, recursive: false },
  rshared: { flag: MS.SHARED, recursive: true },
  unbindable: { flag: MS.UNBINDABLE, recursive: false },
  runbindable: { flag: MS.UNBINDABLE, recursive: true },
};

/** Flags of a super block that fsconfig(2) takes by these names. */
const SUPER_BLOCK = new Set(["sync", "dirsync", "lazytime", "mand"]);
/** What these ask for is so without them, or concerns messages of old kernels only. */
const NOTHING = new Set([
  "async",
  "defaults",
  "iversion",
  "loud",
  "noiversion",
  "nolazytime",
  "nomand",
  "silent",
]);

/** Optional in the specification; podman gives it with every tmpfs, so it is no error. */
const NOT_DONE = "tmpcopyup";

/** @throws invalid-argument */
export function readMountOptions(mount: SpecMount): MountOptions {
  let [set, clear, recursiveSet, recursiveClear] = [0, 0, 0, 0];
  let [bind, recursive, remount] = [mount.type === "bind", false, false];
  let idmap: MountOptions["idmap"] = "";
  const propagations: Propagation[] = [];
  const data: [string, string | null][] = [];
  for (const option of mount.options ?? []) {
    const attribute = ATTRIBUTES[option];
    const below = option.startsWith("r") ? ATTRIBUTES[option.slice(1)] : undefined;
    const propagation = PROPAGATIONS[option];
    if (attribute !== undefined) {
      set = (set & ~attribute[1]) | attribute[0];
      clear = (clear & ~attribute[0]) | attribute[1];
    } else if (below !== undefined) {
      recursiveSet = (recursiveSet & ~below[1]) | below[0];
      recursiveClear = (recursiveClear & ~below[0]) | below[1];
    } else if (propagation !== undefined) propagations.push(propagation);
    else if (option === "bind") bind = true;
    else if (option === "rbind") [bind, recursive] = [true, true];
    else if (option === "remount") remount = true;
    else if (option === "idmap" || option === "ridmap") idmap = option;
    else if (!NOTHING.has(option) && option !== NOT_DONE) data.push(dataOption(option));
  }
  return {
    bind,
    recursive,
    remount,
    set,
    clear,
    recursiveSet,
    recursiveClear,
    propagations,
    idmap,
    data,
  };
}

function dataOption(option: string): [string, string | null] {
  if (SUPER_BLOCK.has(option)) return [option, null];
  const at = option.indexOf("=");
  if (at === 0 || option === "") {
    throw invalidArgument(`Cannot use the mount option ${JSON.stringify(option)}: it has no name`);
  }
  return at < 0 ? [option, null] : [option.slice(0, at), option.slice(at + 1)];
}

/** For `features`. */
export const MOUNT_OPTION_NAMES: readonly string[] = [
  ...Object.keys(ATTRIBUTES),
  ...Object.keys(ATTRIBUTES).map((name) => `r${name}`),
  ...Object.keys(PROPAGATIONS),
  ...SUPER_BLOCK,
  ...NOTHING,
  "bind",
  "rbind",
  "remount",
  "idmap",
  "ridmap",
].toSorted();
