import { rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf, TiffinError } from "../base/error.ts";
import { CgroupDriver } from "../cgroups/driver.ts";
import { prepareMade } from "../cgroups/parents.ts";
import { AT } from "../kernel/flags.ts";
import { mknodat } from "../kernel/files.ts";
import { closeFd } from "../kernel/process.ts";
import { syscallRaw } from "../kernel/syscall.ts";
import { launcherExecutable } from "../launch/launcher-executable.ts";
import { type RunningProgram, startProgram } from "../launch/run-program.ts";
import type { Bundle } from "./bundle.ts";
import { describeState, startTicks, type Status } from "./container-status.ts";
import { containerPlace } from "./hook-place.ts";
import { runHooks } from "./hooks.ts";
import { openJoins } from "./plan-namespaces.ts";
import {
  type ConsoleTarget,
  type CreateOptions,
  prepareContainer,
  type Prepared,
} from "./prepare.ts";
import { sendListener } from "./seccomp-listener.ts";
import { StateDirectory, type StoredState } from "./state-directory.ts";
import { runPoststop } from "./poststop.ts";

export interface CreateRequest {
  readonly root: string;
  readonly id: string;
  readonly bundle: Bundle;
  /** The socket's path, a connected socket of this process, or undefined. */
  readonly consoleSocket: string | number | undefined;
  readonly pidFile: string | undefined;
  readonly preserveFds: number;
  readonly noPivot: boolean;
  readonly noKeyring: boolean;
  /** The program runs at once (run without startContainer hooks), instead of after start. */
  readonly runsAtOnce: boolean;
  readonly warn: (text: string) => void;
}

export interface Created {
  readonly directory: StateDirectory;
  readonly state: StoredState;
}

const FIFO = 0o010600;

/**
 * Makes a container up to the point where its program waits for start (runtime.md, "Create"). The directory is held when it
 * returns. @throws the reason; nothing of the container is left then
 */
export function createContainer(request: CreateRequest): Created {
  const { root, id, bundle } = request;
  const options = createOptions(request);
  const prepared = prepareContainer(options);
  const directory = StateDirectory.create(root, id);
  let state = firstState(request, prepared);
  try {
    const madeCgroups = prepareCgroups(prepared);
    state = { ...state, madeCgroups };
    directory.write(state);
    directory.writeConfig(bundle.text);
    if (!request.runsAtOnce) mknodat([AT.FDCWD, directory.fifo], FIFO);
    const pid = launch(request, prepared, state);
    state = { ...state, pid, startTicks: startTicks(pid) };
    directory.write(state);
    if (request.pidFile !== undefined) writeFileSync(request.pidFile, String(pid));
    return { directory, state };
  } catch (error) {
    undo(directory, state, prepared);
    runPoststop(bundle.spec, describeState(state, "stopped"), request.warn);
    throw error;
  }
}

function createOptions(request: CreateRequest): CreateOptions {
  const { root, id, consoleSocket, runsAtOnce } = request;
  return {
    ...request,
    consoleSocket: consoleTarget(consoleSocket),
    fifo: runsAtOnce ? null : join(root, id, "exec.fifo"),
  };
}

function consoleTarget(socket: CreateRequest["consoleSocket"]): ConsoleTarget {
  if (typeof socket === "number") return "inherited";
  return socket === undefined ? undefined : { path: socket };
}

function firstState({ id, bundle }: CreateRequest, prepared: Prepared): StoredState {
  return {
    ociVersion: bundle.spec.ociVersion,
    id,
    pid: 0,
    startTicks: "",
    bundle: bundle.path,
    rootfs: prepared.rootfs,
    created: new Date().toISOString(),
    annotations: bundle.spec.annotations ?? {},
    cgroupsPath: prepared.paths.path,
    usesCpuset: prepared.paths.hierarchy("cpuset") !== undefined,
    madeCgroups: [],
    ownPids: prepared.namespaces.isNew("pid"),
  };
}

/** @throws conflict when somebody's processes are in the group already */
function prepareCgroups({ paths, controllers }: Prepared): string[] {
  const processes = new CgroupDriver(paths).processes(paths.name);
  if (processes.length > 0) {
    throw new TiffinError(
      "conflict",
      `Cannot use the cgroup ${paths.path}: container's cgroup is not empty: ${processes.length} process(es) found`,
    );
  }
  const made = paths.makeAncestors();
  prepareMade(paths, controllers);
  return made;
}

/** @returns the pid of the container's first process */
function launch(request: CreateRequest, prepared: Prepared, state: StoredState): number {
  const { consoleSocket, preserveFds, id } = request;
  const joined = openJoins(prepared.namespaces);
  const preserved = Array.from({ length: preserveFds }, (_, index) => 3 + index);
  let program: RunningProgram | undefined;
  try {
    program = startProgram({
      executable: launcherExecutable(),
      plan: prepared.operations,
      name: `tiffin-oci-${id.slice(0, 8)}`,
      streams: [0, 1, 2],
      inherited: [
        ...joined,
        ...(typeof consoleSocket === "number" ? [consoleSocket] : []),
        ...preserved,
      ],
    });
    return passStages(request, prepared, { state, program });
  } finally {
    for (const fd of joined) closeFd(fd);
    program?.close();
  }
}

function passStages(
  request: CreateRequest,
  prepared: Prepared,
  running: { state: StoredState; program: RunningProgram },
): number {
  const { program, state } = running;
  const { spec } = request.bundle;
  const at = (pid: number, status: Status) => ({ ...describeState({ ...state, pid }, status) });
  if (prepared.stopsForHooks) {
    const pid = program.stage();
    runHooks("prestart", spec.hooks?.prestart, at(pid, "creating"));
    runHooks("createRuntime", spec.hooks?.createRuntime, at(pid, "creating"));
    if (spec.hooks?.createContainer) {
      const place = containerPlace(pid, prepared.paths);
      const inside = { ...at(pid, "creating"), pid: place.insidePid };
      runHooks("createContainer", spec.hooks.createContainer, inside, place);
      place.close();
    }
    program.goOn();
  }
  const { notify } = prepared.seccomp;
  if (notify !== undefined) {
    const pid = program.stage();
    sendListener(notify, pid, program.stage(), at(pid, "creating"));
    program.goOn();
  }
  return program.stage();
}

const REAP_ROUNDS = 200;

/** Nothing stays of a create that failed. */
function undo(directory: StateDirectory, state: StoredState, { paths }: Prepared): void {
  const driver = new CgroupDriver(paths);
  driver.kill(paths.name);
  reapChildren();
  for (const group of paths.groups(paths.name)) removeGroup(group);
  for (const group of state.madeCgroups.toReversed()) removeGroup(group);
  directory.remove();
}

/** The launcher and the container's processes, which all end now; a little patience for those that are still about to. */
function reapChildren(): void {
  for (let round = 0; round < REAP_ROUNDS; round++) {
    const result = syscallRaw("wait4", -1, null, 1, null);
    if (result < 0) return;
    if (result === 0) Bun.sleepSync(5);
  }
}

function removeGroup(path: string): void {
  try {
    rmdirSync(path);
  } catch (error) {
    // Never made, or in use by others.
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code !== "ENOENT" && code !== "EBUSY" && code !== "ENOTEMPTY") {
      throw new TiffinError("internal", `Cannot remove the cgroup ${path}: ${messageOf(error)}`);
    }
  }
}
