import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { TiffinError, messageOf } from "../base/error.ts";
import type { AvailableSets } from "./cpuset.ts";
import { type CgroupLayout, hierarchyOf } from "./layout.ts";
import type { DriverPaths } from "./paths.ts";

/** Those that containers' limits need, as far as the kernel has them. */
const WANTED_V2 = ["cpu", "cpuset", "io", "memory", "pids"];

/**
 * Makes `tiffin/ENGINE-ID` in every hierarchy, once at the engine's start: on v2 with the controllers passed down, on v1
 * with CPUs and memory nodes copied down. Idempotent.
 *
 * @throws unavailable when the cgroup file system is read-only or not ours
 */
export function prepareParents(paths: DriverPaths, wanted: readonly string[] = WANTED_V2): void {
  const made = paths.mountPoints().map((mountPoint) => paths.parent(mountPoint));
  prepareMade(paths, wanted, made);
}

/**
 * The same for groups of which some may have been made already.
 * @param missing those to make
 */
export function prepareMade(
  paths: DriverPaths,
  wanted: readonly string[],
  missing: readonly string[] = [],
): void {
  const { layout } = paths;
  try {
    for (const directory of missing) mkdirSync(directory, { recursive: true });
    if (layout.kind === "v2" && layout.unified !== null) {
      passDown(layout.unified, paths.ancestors(layout.unified), wanted);
    }
    prepareV1(paths);
  } catch (error) {
    throw new TiffinError(
      "unavailable",
      `Cannot prepare the engine's cgroups: ${messageOf(error)}`,
      {
        hint: "The engine needs root and a writable /sys/fs/cgroup; inside a container run it with --privileged",
        cause: error,
      },
    );
  }
}

/**
 * The same for a group that containers were asked to be below, in every hierarchy. It is the user's, and stays. Idempotent.
 * @throws conflict when the kernel refuses: on v2 a group with processes of its own cannot have groups with limits below it
 */
export function prepareAskedParent(paths: DriverPaths, parent: string): void {
  const { layout } = paths;
  try {
    for (const mountPoint of paths.mountPoints()) {
      mkdirSync(`${mountPoint}/${parent}`, { recursive: true });
    }
    if (layout.kind === "v2" && layout.unified !== null) {
      passDown(layout.unified, levels(layout.unified, parent));
    }
    const cpuset = paths.hierarchy("cpuset");
    if (cpuset !== undefined) copySetsDown(levels(cpuset, parent));
  } catch (error) {
    throw new TiffinError(
      "conflict",
      `Cannot use the cgroup parent "${parent}": ${messageOf(error)}`,
      {
        hint: "On cgroup v2 use a group without processes of its own",
        cause: error,
      },
    );
  }
}

/** `a/b`: `MOUNT/a`, `MOUNT/a/b`. */
function levels(mountPoint: string, parent: string): string[] {
  const parts = parent.split("/");
  return parts.map((_, index) => [mountPoint, ...parts.slice(0, index + 1)].join("/"));
}

/** Removes the parents that are empty. */
export function removeParents(paths: DriverPaths): void {
  for (const mountPoint of [...paths.mountPoints(), ...paths.namedMountPoints()]) {
    for (const directory of paths.ancestors(mountPoint).toReversed()) {
      try {
        rmdirSync(directory);
      } catch {
        // Another engine's, or still in use: it stays for whoever owns it.
        break;
      }
    }
  }
}

/** To the groups in `below`, which are each below the one before. */
function passDown(
  root: string,
  below: readonly string[],
  asked: readonly string[] = WANTED_V2,
): void {
  const available = readFileSync(`${root}/cgroup.controllers`, "utf8").trim().split(/\s+/);
  const wanted = asked.filter((name) => available.includes(name));
  for (const directory of [root, ...below]) {
    const enabled = readFileSync(`${directory}/cgroup.subtree_control`, "utf8").trim().split(/\s+/);
    const missing = wanted.filter((name) => !enabled.includes(name)).map((name) => `+${name}`);
    if (missing.length === 0) continue;
    try {
      writeFileSync(`${directory}/cgroup.subtree_control`, missing.join(" "));
    } catch (error) {
      if (directory !== root || !isBusy(error)) throw error;
      // A group with processes of its own cannot pass controllers down (the true root can): inside a container the
      // processes step aside first.
      moveProcessesAside(root);
      writeFileSync(`${directory}/cgroup.subtree_control`, missing.join(" "));
    }
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EBUSY";
}

function moveProcessesAside(root: string): void {
  const aside = `${root}/init`;
  mkdirSync(aside, { recursive: true });
  // Processes may fork meanwhile: until none is left.
  for (let round = 0; round < 100; round++) {
    const pids = readFileSync(`${root}/cgroup.procs`, "utf8").split("\n").filter(Boolean);
    if (pids.length === 0) return;
    for (const pid of pids) moveProcess(pid, `${aside}/cgroup.procs`);
  }
}

/** Moves a process unless it has ended. */
export function moveProcess(pid: string | number, procsPath: string): void {
  try {
    writeFileSync(procsPath, String(pid));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

function prepareV1(paths: DriverPaths): void {
  const cpuset = paths.hierarchy("cpuset");
  if (cpuset !== undefined) {
    copySetsDown(paths.ancestors(cpuset));
  }
  const memory = paths.hierarchy("memory");
  if (memory === undefined) return;
  for (const directory of paths.ancestors(memory)) {
    const file = `${directory}/memory.use_hierarchy`;
    // Always 1 since 5.11, and then not to be written.
    if (existsSync(file) && readFileSync(file, "utf8").trim() === "0") writeFileSync(file, "1");
  }
}

function copySetsDown(directories: readonly string[]): void {
  for (const directory of directories) {
    for (const file of ["cpuset.cpus", "cpuset.mems"]) copyDown(directory, file);
  }
}

/**
 * Lets the engine's groups on v1 use real-time CPU: as much as the root has, of which containers take what they are given.
 * @throws conflict when other groups have taken it
 */
export function allowRealtime(paths: DriverPaths, parent: string): void {
  const cpu = paths.hierarchy("cpu");
  if (cpu === undefined) return;
  const all = readFileSync(`${cpu}/cpu.rt_runtime_us`, "utf8").trim();
  for (const directory of levels(cpu, parent)) {
    const file = `${directory}/cpu.rt_runtime_us`;
    if (readFileSync(file, "utf8").trim() !== "0") continue;
    try {
      writeFileSync(file, all);
    } catch (error) {
      throw new TiffinError(
        "conflict",
        `Cannot give real-time CPU: ${directory} may not have ${all} us a period`,
        {
          hint: "Another group has it already: see the cpu.rt_runtime_us of its siblings",
          cause: error,
        },
      );
    }
  }
}

function copyDown(directory: string, file: string): void {
  if (readFileSync(`${directory}/${file}`, "utf8").trim() !== "") return;
  writeFileSync(`${directory}/${file}`, readFileSync(`${directory}/../${file}`, "utf8").trim());
}

/** The CPUs and memory nodes that a v1 group made under the parents may have. */
export function readParentSets(layout: CgroupLayout): AvailableSets {
  const [directory, suffix] =
    layout.kind === "v2"
      ? [layout.unified ?? "/sys/fs/cgroup", ".effective"]
      : [hierarchyOf(layout, "cpuset"), ""];
  const read = (file: string): string => {
    const path = `${directory}/${file}${suffix}`;
    return directory !== undefined && existsSync(path) ? readFileSync(path, "utf8").trim() : "";
  };
  return {
    cpus: read("cpuset.cpus") || readSystem("cpu"),
    mems: read("cpuset.mems") || readSystem("node"),
  };
}

function readSystem(kind: "cpu" | "node"): string {
  const path = `/sys/devices/system/${kind}/online`;
  return existsSync(path) ? readFileSync(path, "utf8").trim() : "0";
}
