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
export function prepareParents(paths: DriverPaths): void {
  const { layout } = paths;
  try {
    for (const mountPoint of paths.mountPoints())
      mkdirSync(paths.parent(mountPoint), { recursive: true });
    if (layout.kind === "v2" && layout.unified !== null) passControllersDown(layout.unified, paths);
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

/** Removes the parents that are empty. */
export function removeParents(paths: DriverPaths): void {
  for (const mountPoint of paths.mountPoints()) {
    for (const directory of [paths.parent(mountPoint), `${mountPoint}/tiffin`]) {
      try {
        rmdirSync(directory);
      } catch {
        // Another engine's, or still in use: it stays for whoever owns it.
        break;
      }
    }
  }
}

function passControllersDown(root: string, paths: DriverPaths): void {
  const available = readFileSync(`${root}/cgroup.controllers`, "utf8").trim().split(/\s+/);
  const wanted = WANTED_V2.filter((name) => available.includes(name));
  for (const directory of [root, `${root}/tiffin`, paths.parent(root)]) {
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
    for (const directory of [`${cpuset}/tiffin`, paths.parent(cpuset)]) {
      for (const file of ["cpuset.cpus", "cpuset.mems"]) copyDown(directory, file);
    }
  }
  const memory = paths.hierarchy("memory");
  if (memory === undefined) return;
  for (const directory of [`${memory}/tiffin`, paths.parent(memory)]) {
    const file = `${directory}/memory.use_hierarchy`;
    // Always 1 since 5.11, and then not to be written.
    if (existsSync(file) && readFileSync(file, "utf8").trim() === "0") writeFileSync(file, "1");
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
