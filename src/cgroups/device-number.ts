import { existsSync, readFileSync, statSync } from "node:fs";
import { majorOf, minorOf } from "../base/device-number.ts";
import { invalidArgument } from "../base/error.ts";

/**
 * `254:0` of a whole disk, as limits name it. @throws invalid-argument: no such file (in docker's words), no block device, a
 * partition
 */
export function deviceNumber(path: string): string {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined) {
    throw invalidArgument(`stat ${path}: no such file or directory`, "lsblk -p shows the disks");
  }
  if (!status.isBlockDevice()) {
    throw invalidArgument(
      `Cannot limit ${path}: it is no block device`,
      "lsblk -p shows the disks",
    );
  }
  const number = `${majorOf(status.rdev)}:${minorOf(status.rdev)}`;
  if (existsSync(`/sys/dev/block/${number}/partition`)) {
    throw invalidArgument(
      `Cannot limit ${path}: it is a partition`,
      "Limit the disk that it is on",
    );
  }
  return number;
}

/** Whether the disk's scheduler is bfq: without it the weights of v1 mean nothing. */
export function hasWeights(number: string): boolean {
  const file = `/sys/dev/block/${number}/queue/scheduler`;
  return existsSync(file) && readFileSync(file, "utf8").includes("[bfq]");
}
