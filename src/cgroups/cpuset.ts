import { invalidArgument } from "../base/error.ts";
import type { Resources } from "./resources.ts";
import type { CgroupWrite } from "./write.ts";

/** What is there to choose from, as lists of the form `0-2,5`. */
export interface AvailableSets {
  readonly cpus: string;
  readonly mems: string;
}

/**
 * `0-2,5` to the numbers in order.
 * @throws invalid-argument, in docker's words; `what` is `cpuset cpus` or `cpuset mems`
 */
export function parseList(text: string, what = "cpuset cpus"): number[] {
  const numbers = new Set<number>();
  for (const part of text.trim().split(",")) {
    if (part === "") continue;
    const [, from, to] = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part.trim()) ?? [];
    const last = Number(to ?? from);
    if (from === undefined || Number(from) > last) {
      throw invalidArgument(`Invalid value ${text} for ${what}`, "Use numbers and ranges: 0-2,5");
    }
    for (let number = Number(from); number <= last; number++) numbers.add(number);
  }
  return [...numbers].sort((a, b) => a - b);
}

/** @throws invalid-argument, in docker's words */
export function validateCpuset(resources: Resources, available: AvailableSets): void {
  check(resources.cpusetCpus ?? "", available.cpus, { what: "cpuset cpus", things: "CPUs" });
  check(resources.cpusetMems ?? "", available.mems, {
    what: "cpuset mems",
    things: "memory nodes",
  });
}

function check(asked: string, available: string, words: { what: string; things: string }): void {
  const there = new Set(parseList(available));
  if (parseList(asked, words.what).every((number) => there.has(number))) return;
  throw invalidArgument(
    `Requested ${words.things} are not available - requested ${asked}, available: ${available}`,
  );
}

/** A v1 group has no CPUs or memory nodes until both are written; what was not asked for is the parent's. */
export function cpusetV1(resources: Resources, parent: AvailableSets): CgroupWrite[] {
  const { cpusetCpus = "", cpusetMems = "" } = resources;
  if (cpusetCpus === "" && cpusetMems === "") return [];
  return writes(cpusetCpus || parent.cpus, cpusetMems || parent.mems);
}

export function cpusetV2(resources: Resources): CgroupWrite[] {
  return writes(resources.cpusetCpus ?? "", resources.cpusetMems ?? "");
}

function writes(cpus: string, mems: string): CgroupWrite[] {
  const all: CgroupWrite[] = [
    { controller: "cpuset", file: "cpuset.cpus", value: cpus, reason: `keep it on CPUs ${cpus}` },
    {
      controller: "cpuset",
      file: "cpuset.mems",
      value: mems,
      reason: `keep it on memory nodes ${mems}`,
    },
  ];
  return all.filter((write) => write.value !== "");
}
