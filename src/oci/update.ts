import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { messageOf, TiffinError } from "../base/error.ts";
import { GroupAtPath } from "../cgroups/group-at-path.ts";
import { readLayout } from "../cgroups/layout.ts";
import type { CgroupWrite } from "../cgroups/write.ts";
import { exactly, type CommandLine, parseCommandLine } from "./command-line.ts";
import { type OciCommand, openContainer } from "./commands.ts";
import { statusOf } from "./container-status.ts";
import { writesOf } from "./group-request.ts";
import { parseJson } from "./read-json.ts";
import type { SpecCpu, SpecMemory, SpecResources } from "../base/runtime-spec.ts";
import { checkShape, RESOURCES_SHAPE } from "./spec-shape.ts";

const FLAGS = {
  "resources|r": "value",
  "blkio-weight": "value",
  "cpu-period": "value",
  "cpu-quota": "value",
  "cpu-burst": "value",
  "cpu-share": "value",
  "cpu-rt-period": "value",
  "cpu-rt-runtime": "value",
  "cpuset-cpus": "value",
  "cpuset-mems": "value",
  "cpu-idle": "value",
  "kernel-memory": "value",
  "kernel-memory-tcp": "value",
  memory: "value",
  "memory-reservation": "value",
  "memory-swap": "value",
  "pids-limit": "value",
} as const;

/** Changes limits of a container that runs: those of a file (`-` is standard input), or those of the flags. */
export const update: OciCommand = (words, context) => {
  const line = parseCommandLine(words, FLAGS);
  const [id = ""] = exactly(line, 1, "update [OPTIONS] CONTAINER");
  const { directory, state } = openContainer(context, id);
  const status = statusOf(directory, state);
  if (status === "stopped" || status === "creating") {
    throw new TiffinError("conflict", `Cannot update container "${id}": container is ${status}`);
  }
  const file = line.value("resources");
  const resources = file === undefined ? fromFlags(line) : fromFile(file);
  const { cpus = "", mems = "" } = resources.cpu ?? {};
  const usesCpuset = state.usesCpuset || cpus !== "" || mems !== "";
  const paths = new GroupAtPath(readLayout(), state.cgroupsPath, usesCpuset);
  const { request } = writesOf(paths, resources);
  if (paths.layout.kind === "v2") {
    for (const write of request.writesV2) apply(paths.unified(paths.name) ?? "", write);
    return 0;
  }
  for (const write of swapFirst(request.writesV1, paths)) {
    apply(paths.group(paths.required(write.controller)), write);
  }
  const unified = paths.unified(paths.name);
  for (const write of request.writesHybrid ?? []) apply(unified ?? "", write);
  return 0;
};

function fromFile(path: string): SpecResources {
  const json = parseJson(readFileSync(path === "-" ? 0 : path, "utf8"), "the resources");
  checkShape(json, RESOURCES_SHAPE, "resources");
  return json as SpecResources;
}

function fromFlags(line: CommandLine): SpecResources {
  const number = (flag: keyof typeof FLAGS): { value: number } | undefined => {
    const text = line.value(flag);
    if (text === undefined) return undefined;
    if (!/^-?\d+$/.test(text)) {
      throw new TiffinError("invalid-argument", `Cannot use --${flag} ${text}: it is no number`);
    }
    return { value: Number(text) };
  };
  const set = <Name extends string>(
    pairs: readonly (readonly [Name, { value: number } | undefined])[],
  ): Partial<Record<Name, number>> =>
    Object.fromEntries(
      pairs.flatMap(([name, found]) => (found ? [[name, found.value] as const] : [])),
    ) as Partial<Record<Name, number>>;
  const memory: SpecMemory = set([
    ["limit", number("memory")],
    ["swap", number("memory-swap")],
    ["reservation", number("memory-reservation")],
    ["kernel", number("kernel-memory")],
    ["kernelTCP", number("kernel-memory-tcp")],
  ]);
  const cpus = line.value("cpuset-cpus");
  const mems = line.value("cpuset-mems");
  const cpu: SpecCpu = {
    ...set([
      ["period", number("cpu-period")],
      ["quota", number("cpu-quota")],
      ["burst", number("cpu-burst")],
      ["shares", number("cpu-share")],
      ["realtimePeriod", number("cpu-rt-period")],
      ["realtimeRuntime", number("cpu-rt-runtime")],
      ["idle", number("cpu-idle")],
    ]),
    ...(cpus === undefined ? {} : { cpus }),
    ...(mems === undefined ? {} : { mems }),
  };
  return {
    memory,
    cpu,
    pids: set([["limit", number("pids-limit")]]),
    blockIO: set([["weight", number("blkio-weight")]]),
  };
}

/** memory.memsw must never be below memory: when the new limit is above the old memsw, memsw goes first. */
function swapFirst(writes: readonly CgroupWrite[], paths: GroupAtPath): readonly CgroupWrite[] {
  const memory = writes.find(({ file }) => file === "memory.limit_in_bytes");
  const swap = writes.find(({ file }) => file === "memory.memsw.limit_in_bytes");
  const hierarchy = paths.hierarchy("memory");
  if (memory === undefined || swap === undefined || hierarchy === undefined) return writes;
  const current = `${paths.group(hierarchy)}/memory.memsw.limit_in_bytes`;
  const old = existsSync(current) ? Number(readFileSync(current, "utf8")) : 0;
  if (Number(memory.value) <= old && Number(memory.value) !== -1) return writes;
  return [swap, ...writes.filter((write) => write !== swap)];
}

function apply(group: string, write: CgroupWrite): void {
  const path = `${group}/${write.file}`;
  if (write.optional === true && !existsSync(path)) return;
  try {
    writeFileSync(path, write.value);
  } catch (error) {
    throw new TiffinError("conflict", `Cannot ${write.reason}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
