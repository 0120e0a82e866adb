import { existsSync, readdirSync, rmdirSync } from "node:fs";
import { TiffinError } from "../base/error.ts";
import { syscallRaw } from "../kernel/syscall.ts";
import { parseSpec } from "./bundle.ts";
import {
  cgroupsOf,
  type ContainerCgroups,
  describeState,
  isRunning,
  type Status,
  statusOf,
} from "./container-status.ts";
import type { Created } from "./create.ts";
import { reapUntil, waitForEnd } from "./exit-wait.ts";
import { runPoststop } from "./poststop.ts";
import type { RuntimeSpec } from "../base/runtime-spec.ts";
import type { StateDirectory, StoredState } from "./state-directory.ts";

const SIGKILL = 9;
/** The kernel ends a process within this time unless it is stuck in a system call. */
const PATIENCE_MS = 10_000;
const ROUNDS = 200;

export interface DeleteOptions {
  readonly force: boolean;
  /** The configuration, where the caller has it from its create. */
  readonly spec?: RuntimeSpec;
  readonly warn: (text: string) => void;
}

/**
 * Takes everything away that create made (runtime.md, "Delete"), then runs the poststop hooks. The directory is held by the
 * caller. @throws conflict when it is not stopped and `force` is not set
 */
export function deleteContainer({ directory, state }: Created, options: DeleteOptions): void {
  if (!options.force) checkStopped(state.id, statusOf(directory, state));
  const cgroups = cgroupsOf(state);
  endProcesses(state, cgroups);
  removeCgroups(state, cgroups);
  const spec = options.spec ?? parseSpec(directory.readConfig());
  directory.remove();
  runPoststop(spec, describeState(state, "stopped"), options.warn);
}

function checkStopped(id: string, status: Status): void {
  if (status === "stopped") return;
  throw new TiffinError(
    "conflict",
    `Cannot delete container "${id}": cannot delete container ${id} that is not stopped: ${status}`,
    { hint: `Stop it first: tiffin oci kill ${id} KILL, or use --force` },
  );
}

/** What a create that was cut short left, when there is not even a state. */
export function deleteTorn(directory: StateDirectory): void {
  directory.remove();
}

/** Also those that outlived the first process, when it shared its pid namespace. */
function endProcesses(state: StoredState, { driver, paths }: ContainerCgroups): void {
  driver.kill(paths.name);
  if (state.pid === 0) return;
  if (isRunning(state)) syscallRaw("kill", state.pid, SIGKILL);
  reapUntil(state.pid);
  if (!isRunning(state) || waitForEnd(state.pid, PATIENCE_MS)) return;
  throw new TiffinError(
    "unavailable",
    `Cannot delete container "${state.id}": its process ${state.pid} does not end`,
  );
}

function removeCgroups(state: StoredState, { paths }: ContainerCgroups): void {
  let left = paths.groups(paths.name);
  for (let round = 0; left.length > 0; round++) {
    left = left.filter((group) => !removeGroup(group));
    if (left.length === 0) break;
    if (round === ROUNDS) {
      throw new TiffinError(
        "conflict",
        `Cannot delete container "${state.id}": there are processes left in ${left.join(", ")}`,
      );
    }
    // A process leaves its groups a moment after it is dead for its parent.
    Bun.sleepSync(5);
  }
  for (const group of state.madeCgroups.toReversed()) removeGroup(group);
}

/** True when it is gone. Groups that the container made below go first. */
function removeGroup(path: string): boolean {
  try {
    rmdirSync(path);
    return true;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT") return true;
    if (code === "EBUSY" || code === "ENOTEMPTY") return removeBelow(path);
    throw error;
  }
}

function removeBelow(path: string): boolean {
  const entries = existsSync(path) ? readdirSync(path, { withFileTypes: true }) : [];
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  if (names.length === 0) return false;
  return names.map((name) => removeGroup(`${path}/${name}`)).every(Boolean) && removeGroup(path);
}
