import { readFileSync } from "node:fs";
import { AT } from "../kernel/flags.ts";
import { closeDescriptor, openat2Raw } from "../kernel/files.ts";
import type { SpecProcess } from "../base/runtime-spec.ts";

const RESOLVE_IN_ROOT = 0x10;
const O_PATH_DIRECTORY = 0o10200000;
/** A passwd that is longer is not one. */
const LONGEST_PASSWD = 1 << 20;

/** The process's environment with HOME, as runc and crun add it: of the user's entry in the root's passwd, else `/`. */
export function environmentWithHome(spec: SpecProcess, rootfs: string): string[] {
  const environment = spec.env ?? [];
  const home = environment.find((variable) => variable.startsWith("HOME="));
  if (home !== undefined && home !== "HOME=") return [...environment];
  const others = environment.filter((variable) => !variable.startsWith("HOME="));
  return [...others, `HOME=${homeOf(spec.user?.uid ?? 0, rootfs)}`];
}

function homeOf(uid: number, rootfs: string): string {
  for (const line of readInRoot(rootfs, "etc/passwd").split("\n")) {
    const [, , id, , , home] = line.split(":");
    if (id === String(uid) && home !== undefined && home.startsWith("/")) return home;
  }
  return "/";
}

/** "" when it cannot be read. Links lead nowhere outside the root. */
function readInRoot(rootfs: string, path: string): string {
  const root = openat2Raw(AT.FDCWD, rootfs, { flags: O_PATH_DIRECTORY });
  if (root < 0) return "";
  // Not blocking: the image may have a fifo there.
  const file = openat2Raw(root, path, { flags: 0o4000, resolve: RESOLVE_IN_ROOT });
  closeDescriptor(root);
  if (file < 0) return "";
  try {
    return readFileSync(file).subarray(0, LONGEST_PASSWD).toString();
  } catch {
    return "";
  } finally {
    closeDescriptor(file);
  }
}
