import { lstatSync, readlinkSync } from "node:fs";
import { TiffinError } from "../base/error.ts";

const MOST_LINKS = 40;

/**
 * A path with the links of the root file system resolved as if that were the root: a place that may be missing can then be
 * made where a link leads that leads nowhere yet (images have /etc/resolv.conf so). What is opened later is still opened
 * below the root alone: this decides no safety.
 * @throws invalid-argument when there are too many links
 */
export function resolveInRoot(rootfs: string, path: string): string {
  const missing = path.split("/").toReversed();
  const found: string[] = [];
  let links = 0;
  while (missing.length > 0) {
    const part = missing.pop() ?? "";
    if (part === "" || part === ".") continue;
    if (part === "..") {
      found.pop();
      continue;
    }
    const at = `${rootfs}/${[...found, part].join("/")}`;
    const isLink = lstatSync(at, { throwIfNoEntry: false })?.isSymbolicLink() === true;
    if (!isLink) {
      found.push(part);
      continue;
    }
    if (++links > MOST_LINKS) {
      throw new TiffinError("invalid-argument", `Cannot mount at ${path}: too many links`);
    }
    const target = readlinkSync(at);
    if (target.startsWith("/")) found.length = 0;
    missing.push(...target.split("/").toReversed());
  }
  return `/${found.join("/")}`;
}
