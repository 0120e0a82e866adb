import { rmSync } from "node:fs";
import { ERRNO } from "../base/errno.ts";
import { messageOf, TiffinError } from "../base/error.ts";
import { AT, O } from "../kernel/flags.ts";
import { closeDescriptor, openat2Raw } from "../kernel/files.ts";
import { syscallError, syscallRaw } from "../kernel/syscall.ts";
import { parseSpec } from "./bundle.ts";
import { cgroupsOf, describeState, statusOf } from "./container-status.ts";
import type { Created } from "./create.ts";
import { deleteContainer } from "./delete.ts";
import { containerPlace } from "./hook-place.ts";
import { runHooks } from "./hooks.ts";
import { planAddedProcess } from "./added-process.ts";
import type { RuntimeSpec } from "../base/runtime-spec.ts";

const POLLERR = 8;

/**
 * Lets the program of a created container run (runtime.md, "Start"). The directory is held by the caller.
 * @throws conflict when it is not created; what failed, and the container is gone then
 */
export function startContainer({ directory, state }: Created, warn: (text: string) => void): void {
  const status = statusOf(directory, state);
  if (status !== "created") throw notStartable(state.id, status);
  const spec = parseSpec(directory.readConfig());
  if (spec.process === undefined) {
    throw new TiffinError(
      "invalid-argument",
      `Cannot start container "${state.id}": its configuration has no process`,
    );
  }
  try {
    runStartHooks(spec, { directory, state });
    openGate(directory.fifo);
    rmSync(directory.fifo, { force: true });
    runHooks("poststart", spec.hooks?.poststart, describeState(state, "running"));
  } catch (error) {
    deleteContainer({ directory, state }, { force: true, warn });
    throw new TiffinError("internal", `Cannot start container "${state.id}": ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function notStartable(id: string, status: string): TiffinError {
  const words =
    status === "stopped"
      ? "cannot start a container that has stopped"
      : status === "running"
        ? "cannot start an already running container"
        : `cannot start a container in the ${status} state`;
  return new TiffinError("conflict", `Cannot start container "${id}": ${words}`);
}

function runStartHooks(spec: RuntimeSpec, { state }: Created): void {
  const hooks = spec.hooks?.startContainer;
  if (hooks === undefined || hooks.length === 0 || spec.process === undefined) return;
  const confined = planAddedProcess(state, spec, spec.process);
  const place = containerPlace(state.pid, cgroupsOf(state).paths, confined.process);
  const inside = { ...describeState(state, "created"), pid: place.insidePid };
  runHooks("startContainer", hooks, inside, place);
  place.close();
}

/** One byte lets the process go on; when it has become the program (or has ended), nobody reads the fifo any more. */
function openGate(path: string): void {
  const fifo = openat2Raw(AT.FDCWD, path, { flags: O.WRONLY | O.NONBLOCK });
  if (fifo === -ERRNO.ENXIO) throw new TiffinError("conflict", "its process has ended");
  if (fifo < 0) throw syscallError("openat2", fifo, `open ${path}`);
  syscallRaw("write", fifo, Buffer.from("0"), 1);
  const poll = new Int32Array([fifo, 0]);
  const bytes = new Uint8Array(poll.buffer);
  while ((((poll[1] ?? 0) >> 16) & POLLERR) === 0) {
    const found = syscallRaw("ppoll", bytes, 1, null, null, 8);
    if (found < 0 && found !== -ERRNO.EINTR) throw syscallError("ppoll", found, "wait for it");
  }
  closeDescriptor(fifo);
}
