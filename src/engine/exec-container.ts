import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { faultPoint } from "../base/fault-point.ts";
import { invalidArgument, isTiffinError, TiffinError } from "../base/error.ts";
import type { Session } from "./attach-session.ts";
import { runDirectory } from "./container-directories.ts";
import type { StoredContainer } from "./container-table.ts";
import { type EngineContext, emitContainerEvent } from "./context.ts";
import { explainLaunched } from "./explain.ts";
import { planExec } from "./plan-exec.ts";
import { removeRunDirectory } from "./release-host-resources.ts";
import { isForeignRuntime } from "./runtime/find-runtime.ts";
import { runtimeFailure } from "./runtime/runtime-failure.ts";
import { readPid } from "./runtime/runtime-program.ts";
import { runningProcess } from "./stop-container.ts";
import { SupervisedProcess } from "./supervised-process.ts";
import type { Exec, ExecSpec } from "./types.ts";

/** Records an exec; nothing runs yet. @throws conflict when the container does not run */
export function createExec(context: EngineContext, name: string, spec: ExecSpec): { id: string } {
  const container = context.containers.find(name);
  requireRunning(context, container);
  if (spec.command.length === 0) throw invalidArgument("No exec command specified");
  const id = randomBytes(32).toString("hex");
  context.execs.insert({
    id,
    containerId: container.id,
    spec,
    running: false,
    pid: 0,
    exitCode: null,
  });
  faultPoint("exec:created");
  emitContainerEvent(context, container, `exec_create: ${spec.command.join(" ")}`, { execID: id });
  return { id };
}

function requireRunning(context: EngineContext, container: StoredContainer): SupervisedProcess {
  if (container.state.status === "paused") {
    throw new TiffinError(
      "conflict",
      `Container ${container.id} is paused, unpause the container before exec`,
    );
  }
  if (container.state.status === "restarting") {
    throw new TiffinError(
      "conflict",
      `Container ${container.id} is restarting, wait until the container is running`,
    );
  }
  return runningProcess(context, container);
}

/**
 * Runs an exec. With `detach` it resolves once the program runs, else with a session that carries its streams.
 * @throws conflict when it ran already or the container has ended; the failed step's error
 */
export async function startExec(
  context: EngineContext,
  id: string,
  options: { detach: boolean; tty: boolean; timings?: boolean },
): Promise<Session | undefined> {
  const exec = context.execs.find(id);
  if (exec.running || exec.exitCode !== null) {
    throw new TiffinError("conflict", `Exec ${exec.id} has already run`, {
      hint: "Create another one",
    });
  }
  const container = context.containers.find(exec.containerId);
  const target = requireRunning(context, container).descriptor();
  const process = new SupervisedProcess({
    directory: `${context.shortRunPath}/${exec.id}`,
    tty: exec.spec.tty,
    stdinOnce: true,
  });
  const session = options.detach ? undefined : process.attach(sessionRequest(exec));
  const directory = runDirectory(context.places, exec.id);
  context.execs.update(exec.id, { running: true });
  context.processes.set(exec.id, process);
  faultPoint("exec:begun");
  try {
    mkdirSync(directory, { mode: 0o700 });
    faultPoint("exec:directory");
    const plan = planExec(context, container, { exec, engineStreams: process.wanted() });
    const launched = await context.launcher
      .launch(plan, `tiffin-exec-${exec.id.slice(0, 8)}`, [target], () => readPid(directory))
      .catch((error: unknown) => {
        throw execFailure(container, exec, { error, directory });
      });
    faultPoint("exec:launched");
    if (options.timings === true) context.execTimings.remember(exec.id, explainLaunched(launched));
    const pid = launched.report.register("pid");
    context.execs.update(exec.id, { pid });
    faultPoint("exec:running");
    emitContainerEvent(context, container, `exec_start: ${exec.spec.command.join(" ")}`, {
      execID: exec.id,
    });
    watchExec(context, exec, process);
    process.adopt(launched.connection, pid);
    return session;
  } catch (error) {
    context.processes.delete(exec.id);
    // docker's, whatever it was that failed: only a command that is not there has a status of its own.
    const exitCode = isTiffinError(error, "command-not-found") ? 127 : 126;
    context.execs.update(exec.id, { running: false, exitCode });
    removeRunDirectory(context.places, exec.id);
    process.finish(undefined);
    throw error;
  }
}

function execFailure(
  { spec: { runtime } }: StoredContainer,
  { spec }: Exec,
  failed: { readonly error: unknown; readonly directory: string },
): unknown {
  if (!isForeignRuntime(runtime)) return failed.error;
  const { error, directory } = failed;
  return runtimeFailure(error, { runtime, directory, command: spec.command[0] ?? "" });
}

function sessionRequest({ spec }: Exec): Parameters<SupervisedProcess["attach"]>[0] {
  return {
    stdin: spec.attachStdin,
    stdout: spec.attachStdout,
    stderr: spec.attachStderr,
    logs: false,
    stream: true,
    detachKeys: spec.detachKeys,
  };
}

/** Records an exec's end, also one that an earlier engine started. */
export function watchExec(context: EngineContext, exec: Exec, process: SupervisedProcess): void {
  void process.ended.then((record) => {
    const exitCode = record?.exitCode ?? 137;
    context.processes.delete(exec.id);
    context.execs.update(exec.id, { running: false, exitCode });
    faultPoint("exec:recorded");
    removeRunDirectory(context.places, exec.id);
    const container = context.containers.withId(exec.containerId);
    if (container) {
      emitContainerEvent(context, container, "exec_die", {
        execID: exec.id,
        exitCode: String(exitCode),
      });
    }
  });
}
