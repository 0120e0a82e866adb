import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { release } from "node:os";
import { ERRNO } from "../base/errno.ts";
import { TiffinError } from "../base/error.ts";
import { AT } from "../kernel/flags.ts";
import { syscallRaw } from "../kernel/syscall.ts";
import { type CgroupLayout, readLayout } from "./layout.ts";
import { LimitChange } from "./limit-change.ts";
import { writesV1, writesV2 } from "./limits.ts";
import {
  allowRealtime,
  moveProcess,
  prepareAskedParent,
  prepareParents,
  readParentSets,
  removeParents,
} from "./parents.ts";
import { DriverPaths, type ParentOf } from "./paths.ts";
import { pidsLifted } from "./pids.ts";
import { type CgroupPlan, type CgroupRequest, planCgroups, planEntry } from "./plan.ts";
import type { Resources } from "./resources.ts";
import { type CgroupCpu, type CgroupStats, readCpuStats, readStats } from "./stats.ts";
import { readSupport, type Support } from "./support.ts";
import type { CgroupWrite } from "./write.ts";

/** Removing may have to wait for the last process to be gone: 2 s in all. */
const REMOVE_ROUNDS = 100;
const REMOVE_PAUSE_MS = 20;
const KILL_ROUNDS = 100;

/**
 * The cgroups of one engine's containers, on v1, v2 and hybrid hosts. Starting a container is a plan; what concerns running ones
 * are plain writes to the cgroup file systems.
 */
export class CgroupDriver {
  readonly paths: DriverPaths;

  private supported: Support | undefined;

  /**
   * @param owner the engine's id, or where the groups are when no engine owns them
   * @param layout how the host has its groups; undefined: as it is now
   * @param parentOf see {@link DriverPaths}
   */
  constructor(owner: string | DriverPaths, layout?: CgroupLayout, parentOf?: ParentOf) {
    this.paths = typeof owner === "string" ? enginePaths(owner, layout, parentOf) : owner;
  }

  get layout(): CgroupLayout {
    return this.paths.layout;
  }

  /** Once at the engine's start. @throws unavailable */
  prepare(): void {
    prepareParents(this.paths);
  }

  /** Which limits there are; once the engine's own groups have been prepared. */
  get support(): Support {
    return (this.supported ??= readSupport(this.paths));
  }

  /**
   * What a container's groups need above them before its start, beyond what the engine's have: the parent that was asked for,
   * real-time CPU. Idempotent. @throws conflict
   */
  prepareParentOf(request: { readonly parent: string; readonly resources: Resources }): void {
    const { parent, resources } = request;
    if (parent !== "") prepareAskedParent(this.paths, parent);
    const { cpuRealtimeRuntimeMicroseconds: runtime = 0 } = resources;
    if (runtime > 0) allowRealtime(this.paths, parent || `tiffin/${this.paths.engineId}`);
  }

  /** Removes the engine's own groups, when no container has any. */
  dispose(): void {
    removeParents(this.paths);
  }

  /** @throws unavailable when the host lacks a controller that a limit needs */
  plan(request: CgroupRequest): CgroupPlan {
    return planCgroups(this.paths, request);
  }

  /** How one more process enters the groups that a container has; on v2 a container's own subgroups stay what they are. */
  planEntry(containerId: string): CgroupPlan {
    const unified = this.paths.unified(containerId);
    return planEntry(this.groups(containerId).map((path) => ({ path, unified: path === unified })));
  }

  /** Ids of all containers that have a group in any hierarchy. */
  list(): string[] {
    const ids = new Set<string>();
    for (const mountPoint of [...this.paths.mountPoints(), ...this.paths.namedMountPoints()]) {
      for (const name of subgroups(this.paths.parent(mountPoint))) ids.add(name);
    }
    return [...ids];
  }

  /**
   * Kills what still runs in the container and removes its groups. Idempotent. Usually nothing does: a v2 group that can be
   * removed was empty. @throws conflict when processes remain
   */
  async end(containerId: string): Promise<void> {
    const unified = this.paths.unified(containerId);
    if (unified === undefined || removeGroup(unified) < 0) this.kill(containerId);
    await this.remove(containerId);
  }

  /** Removes a container's groups and those that it made below them. @throws conflict when processes remain in them */
  async remove(containerId: string): Promise<void> {
    const named = this.paths
      .namedMountPoints()
      .map((mountPoint) => this.paths.group(mountPoint, containerId));
    const all = [...this.paths.groups(containerId), ...named];
    let left = all.filter((group) => !removeEmpty(group));
    for (let round = 0; left.length > 0 && round < REMOVE_ROUNDS; round++) {
      left = left.filter((group) => !removeTree(group));
      if (left.length === 0) return;
      await new Promise((resolve) => setTimeout(resolve, REMOVE_PAUSE_MS));
    }
    if (left.length === 0) return;
    throw new TiffinError(
      "conflict",
      `Cannot remove the cgroups of container ${containerId.slice(0, 12)}: there are processes left in ${left.join(", ")}`,
      { hint: "Kill them first" },
    );
  }

  /** Host pids of all processes in the container, those in groups that it made included. */
  processes(containerId: string): number[] {
    const group = this.mainGroup(containerId);
    return group === undefined ? [] : processesOf(group);
  }

  /**
   * Kills every process in the container. Idempotent. cgroup v2 since 5.14 does it in one write; else all are stopped,
   * signalled, and let go, since a frozen v1 task dies only when thawed.
   */
  kill(containerId: string): void {
    const unified = this.paths.unified(containerId);
    if (unified !== undefined && existsSync(`${unified}/cgroup.kill`)) {
      writeFileSync(`${unified}/cgroup.kill`, "1");
      return;
    }
    // Who forks while the freezer is still at work leaves children that the next round finds.
    const signalled = new Set<number>();
    for (let round = 0; round < KILL_ROUNDS; round++) {
      const missed = this.processes(containerId).filter((pid) => !signalled.has(pid));
      if (missed.length === 0) return;
      this.freeze(containerId);
      try {
        for (const pid of this.processes(containerId)) {
          signal(pid);
          signalled.add(pid);
        }
      } finally {
        this.thaw(containerId);
      }
    }
  }

  /** Stops every process of the container where it is. @throws not-found when the container has no group */
  freeze(containerId: string): void {
    this.setFrozen(containerId, true);
  }

  /** Lets them go on. @throws not-found */
  thaw(containerId: string): void {
    this.setFrozen(containerId, false);
  }

  /** True when its processes were told to stop, whether all have yet or not. */
  isPaused(containerId: string): boolean {
    const unified = this.paths.unified(containerId);
    if (unified !== undefined && existsSync(`${unified}/cgroup.freeze`)) {
      return readFileSync(`${unified}/cgroup.freeze`, "utf8").trim() === "1";
    }
    const state = this.freezerState(containerId);
    return state !== undefined && readFileSync(state, "utf8").trim() !== "THAWED";
  }

  /** True when every process has stopped; freezing takes a moment. */
  isFrozen(containerId: string): boolean {
    const unified = this.paths.unified(containerId);
    if (unified !== undefined && existsSync(`${unified}/cgroup.events`)) {
      return /^frozen 1$/m.test(readFileSync(`${unified}/cgroup.events`, "utf8"));
    }
    const state = this.freezerState(containerId);
    const now = state === undefined ? "" : readFileSync(state, "utf8").trim();
    // v1 stays at FREEZING when it catches a process within vfork, until it is told again.
    if (state !== undefined && now === "FREEZING") writeFileSync(state, "FROZEN");
    return now === "FROZEN";
  }

  /** @throws not-found when the container has no group */
  stats(containerId: string): CgroupStats {
    if (this.mainGroup(containerId) === undefined) throw noGroup(containerId);
    return readStats(this.paths, containerId);
  }

  /** The part of `stats` that rates are made of. @throws not-found when the container has no group */
  cpuStats(containerId: string): CgroupCpu {
    if (this.mainGroup(containerId) === undefined) throw noGroup(containerId);
    return readCpuStats(this.paths, containerId);
  }

  /**
   * Changes the limits of a running container; fields that are absent stay as they are. Validate them first. What the kernel
   * refuses leaves the limits as they were.
   * @throws not-found; conflict when the kernel refuses a value, such as less memory than is in use
   */
  update(containerId: string, resources: Resources): void {
    const main = this.mainGroup(containerId);
    if (main === undefined) throw noGroup(containerId);
    if (this.layout.kind === "v2") {
      new LimitChange().apply(main, [...writesV2(resources), ...pidsLifted(resources)]);
      return;
    }
    const memory = this.paths.hierarchy("memory");
    const limits = [...writesV1(resources, this.paths.parentSets), ...pidsLifted(resources)];
    const writes = raisingOrder(limits, (file) =>
      memory === undefined ? 0 : readNumber(`${this.paths.group(memory, containerId)}/${file}`),
    );
    const changed = new Map<string, CgroupWrite[]>();
    for (const write of writes) {
      const hierarchy = this.paths.hierarchy(write.controller);
      if (hierarchy === undefined && write.optional === true) continue;
      const group = this.paths.group(this.paths.required(write.controller), containerId);
      changed.set(group, [...(changed.get(group) ?? []), write]);
    }
    const change = new LimitChange();
    for (const [group, itsWrites] of changed) {
      mkdirSync(group, { recursive: true });
      change.apply(group, itsWrites);
      // A group that was not needed before is empty; a cpuset takes processes only now that it has both values.
      this.moveAll(containerId, group);
    }
  }

  /** Processes may fork meanwhile: until all that the container has are in the group. */
  private moveAll(containerId: string, group: string): void {
    for (let round = 0; round < 10; round++) {
      const there = new Set(processesOf(group));
      const missing = this.processes(containerId).filter((pid) => !there.has(pid));
      if (missing.length === 0) return;
      for (const pid of missing) moveProcess(pid, `${group}/cgroup.procs`);
    }
  }

  private groups(containerId: string): string[] {
    return this.paths.groups(containerId).filter((group) => existsSync(group));
  }

  /** A group that holds all of the container's processes: v2's, else one of those that every container is in. */
  private mainGroup(containerId: string): string | undefined {
    const joined = this.paths.alwaysJoined.flatMap((controller) => {
      const hierarchy = this.paths.hierarchy(controller);
      return hierarchy === undefined ? [] : [this.paths.group(hierarchy, containerId)];
    });
    const candidates = [this.paths.unified(containerId) ?? [], joined].flat();
    return candidates.find((group) => existsSync(group));
  }

  private freezerState(containerId: string): string | undefined {
    const hierarchy = this.paths.hierarchy("freezer");
    const group = hierarchy === undefined ? undefined : this.paths.group(hierarchy, containerId);
    return group !== undefined && existsSync(group) ? `${group}/freezer.state` : undefined;
  }

  private setFrozen(containerId: string, isFrozen: boolean): void {
    const unified = this.paths.unified(containerId);
    if (unified !== undefined && existsSync(`${unified}/cgroup.freeze`)) {
      writeFileSync(`${unified}/cgroup.freeze`, isFrozen ? "1" : "0");
      return;
    }
    const state = this.freezerState(containerId);
    if (state === undefined) throw noGroup(containerId);
    writeFileSync(state, isFrozen ? "FROZEN" : "THAWED");
  }
}

function noGroup(containerId: string): TiffinError {
  return new TiffinError("not-found", `Container ${containerId.slice(0, 12)} has no cgroup`);
}

function subgroups(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
}

/** The usual case in one system call: a group without subgroups and processes, or none at all. */
function removeEmpty(group: string): boolean {
  const result = removeGroup(group);
  return result === 0 || result === -ERRNO.ENOENT;
}

/** 0, or the negative errno. */
function removeGroup(group: string): number {
  return syscallRaw("unlinkat", AT.FDCWD, group, AT.REMOVEDIR);
}

/** rmdir from the leaves up; true when nothing is left. */
function removeTree(group: string): boolean {
  if (!existsSync(group)) return true;
  for (const name of subgroups(group)) {
    if (!removeTree(`${group}/${name}`)) return false;
  }
  try {
    rmdirSync(group);
    return true;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT") return true;
    if (code === "EBUSY" || code === "ENOTEMPTY") return false;
    throw error;
  }
}

function processesOf(group: string): number[] {
  let text: string;
  try {
    text = readFileSync(`${group}/cgroup.procs`, "utf8");
  } catch (error) {
    // Gone meanwhile, or a threaded group, whose processes its parent lists.
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code !== "ENOENT" && code !== "ENODEV" && code !== "EOPNOTSUPP") throw error;
    text = "";
  }
  const below = subgroups(group).flatMap((name) => processesOf(`${group}/${name}`));
  return [...text.split("\n").filter(Boolean).map(Number), ...below];
}

function signal(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

function readNumber(path: string): number {
  return existsSync(path) ? Number(readFileSync(path, "utf8")) : 0;
}

/** memory.memsw must never be below memory: when the new memory limit is above the old memsw, memsw goes first. */
function raisingOrder(writes: CgroupWrite[], current: (file: string) => number): CgroupWrite[] {
  const memory = writes.find((write) => write.file === "memory.limit_in_bytes");
  const swap = writes.find((write) => write.file === "memory.memsw.limit_in_bytes");
  if (memory === undefined || swap === undefined) return writes;
  if (Number(memory.value) <= current("memory.memsw.limit_in_bytes")) return writes;
  return [swap, ...writes.filter((write) => write !== swap)];
}

function enginePaths(
  engineId: string,
  layout: CgroupLayout = readLayout(),
  parentOf?: ParentOf,
): DriverPaths {
  const facts = { parentSets: readParentSets(layout), kernel: release() };
  return new DriverPaths(layout, engineId, facts, parentOf);
}
