import { isIP } from "node:net";
import { invalidArgument, TiffinError } from "../base/error.ts";
import { parseBinarySize } from "../base/size.ts";
import type { MountCall } from "../kernel/mount.ts";

type Options = Readonly<Record<string, string>>;

const KNOWN = ["type", "o", "device", "size"];
const NEEDS: Readonly<Record<string, readonly string[]>> = {
  device: ["type"],
  type: ["device"],
  o: ["device", "type"],
};

/**
 * Refuses options that docker's local driver refuses, in its words (moby, daemon/volume/local/local_unix.go).
 * @throws invalid-argument
 */
export function validateDriverOptions(name: string, options: Options): void {
  const refuse = (problem: string): TiffinError => invalidArgument(`create ${name}: ${problem}`);
  for (const option of Object.keys(options)) {
    if (!KNOWN.includes(option)) throw refuse(`invalid option: ${JSON.stringify(option)}`);
  }
  const { size } = { size: undefined, ...options };
  if (size !== undefined) checkSize(name, size);
  for (const [option, needed] of Object.entries(NEEDS)) {
    const missing = Object.hasOwn(options, option)
      ? needed.find((other) => !Object.hasOwn(options, other))
      : undefined;
    if (missing !== undefined) {
      throw refuse(`missing required option: ${JSON.stringify(missing)}`);
    }
  }
  for (const [option, value] of Object.entries(options)) {
    if (value.includes("\0")) throw refuse(`option ${option} holds a NUL byte`);
  }
  const device = options["device"] ?? "";
  const { flags } = mountWords(options["o"] ?? "");
  if ((flags & MS.BIND) !== 0 && !device.startsWith("/")) {
    throw refuse(`a bind needs the absolute path of a directory as device, not "${device}"`);
  }
}

/** A quota needs a file system that has project quotas, and an engine that sets them. */
function checkSize(name: string, size: string): void {
  let bytes: number;
  try {
    bytes = parseBinarySize(size);
  } catch {
    throw invalidArgument(`create ${name}: invalid size: '${size}'`);
  }
  if (bytes <= 0) return;
  throw invalidArgument(
    `create ${name}: quota size requested but no quota support`,
    "For a bounded volume in memory: --opt type=tmpfs --opt device=tmpfs --opt o=size=100m",
  );
}

/** Content is lost with the mount: each first use finds it empty. */
export function isVolatileType(options: Options): boolean {
  return ["tmpfs", "ramfs"].includes(options["type"] ?? "");
}

/** include/uapi/linux/mount.h */
const MS = {
  RDONLY: 1,
  NOSUID: 2,
  NODEV: 4,
  NOEXEC: 8,
  SYNCHRONOUS: 16,
  REMOUNT: 32,
  MANDLOCK: 64,
  DIRSYNC: 128,
  NOATIME: 1024,
  NODIRATIME: 2048,
  BIND: 4096,
  REC: 16384,
  UNBINDABLE: 1 << 17,
  PRIVATE: 1 << 18,
  SLAVE: 1 << 19,
  SHARED: 1 << 20,
  RELATIME: 1 << 21,
  STRICTATIME: 1 << 24,
} as const;
const PROPAGATION = MS.UNBINDABLE | MS.PRIVATE | MS.SLAVE | MS.SHARED;

const WORDS: Readonly<Record<string, { set?: number; clear?: number }>> = {
  defaults: {},
  ro: { set: MS.RDONLY },
  rw: { clear: MS.RDONLY },
  suid: { clear: MS.NOSUID },
  nosuid: { set: MS.NOSUID },
  dev: { clear: MS.NODEV },
  nodev: { set: MS.NODEV },
  exec: { clear: MS.NOEXEC },
  noexec: { set: MS.NOEXEC },
  sync: { set: MS.SYNCHRONOUS },
  async: { clear: MS.SYNCHRONOUS },
  dirsync: { set: MS.DIRSYNC },
  remount: { set: MS.REMOUNT },
  mand: { set: MS.MANDLOCK },
  nomand: { clear: MS.MANDLOCK },
  atime: { clear: MS.NOATIME },
  noatime: { set: MS.NOATIME },
  diratime: { clear: MS.NODIRATIME },
  nodiratime: { set: MS.NODIRATIME },
  bind: { set: MS.BIND },
  rbind: { set: MS.BIND | MS.REC },
  unbindable: { set: MS.UNBINDABLE },
  runbindable: { set: MS.UNBINDABLE | MS.REC },
  private: { set: MS.PRIVATE },
  rprivate: { set: MS.PRIVATE | MS.REC },
  shared: { set: MS.SHARED },
  rshared: { set: MS.SHARED | MS.REC },
  slave: { set: MS.SLAVE },
  rslave: { set: MS.SLAVE | MS.REC },
  relatime: { set: MS.RELATIME },
  norelatime: { clear: MS.RELATIME },
  strictatime: { set: MS.STRICTATIME },
  nostrictatime: { clear: MS.STRICTATIME },
};

/** The words of `o=`: flags of mount(2), and what is left for the file system. */
function mountWords(words: string): { flags: number; data: string } {
  let flags = 0;
  const data: string[] = [];
  for (const word of words.split(",").filter((part) => part !== "")) {
    const known = Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
    if (known === undefined) data.push(word);
    else flags = (flags & ~(known.clear ?? 0)) | (known.set ?? 0);
  }
  return { flags, data: data.join(",") };
}

/**
 * The calls that mount a volume's file system at `target`, in docker's order: the mount, how it propagates, and since a
 * bind takes no flags at first, those.
 * @param resolve the address of a host name: network file systems take no names
 * @throws what `resolve` throws
 */
export async function planVolumeMount(
  options: Options,
  target: string,
  resolve: (host: string) => Promise<string>,
): Promise<MountCall[]> {
  const type = options["type"] ?? "";
  const source = options["device"] ?? "";
  const { flags, data } = await withAddress(mountWords(options["o"] ?? ""), type, resolve);
  const isBind = (flags & MS.BIND) !== 0;
  const plain = flags & ~PROPAGATION;
  const calls: MountCall[] = [{ source, target, type, flags: plain, data }];
  const propagation = flags & PROPAGATION;
  if (propagation !== 0) {
    calls.push({
      source: "none",
      target,
      type: "",
      flags: propagation | (flags & MS.REC),
      data: "",
    });
  }
  const attributes = plain & ~(MS.BIND | MS.REC);
  if (isBind && attributes !== 0) {
    const again = { flags: plain | MS.REMOUNT, data: "" };
    calls.push({ source: "none", target, type: "", ...again });
  }
  return calls;
}

async function withAddress(
  words: { flags: number; data: string },
  type: string,
  resolve: (host: string) => Promise<string>,
): Promise<{ flags: number; data: string }> {
  const host = /(?:^|,)addr=([^,]+)/.exec(words.data)?.[1];
  if (!["nfs", "nfs4", "cifs"].includes(type) || host === undefined || isIP(host) !== 0)
    return words;
  const address = await resolve(host);
  return { ...words, data: words.data.replace(`addr=${host}`, () => `addr=${address}`) };
}
