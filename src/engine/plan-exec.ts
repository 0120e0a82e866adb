import type { Operation } from "../base/operation.ts";
import { planExecLaunch } from "../launch/exec-plan.ts";
import { streamBits } from "../launch/frames.ts";
import { runDirectory } from "./container-directories.ts";
import { containerUser } from "./container-root.ts";
import type { StoredContainer } from "./container-table.ts";
import type { EngineContext } from "./context.ts";
import { planConfinement } from "./plan-confinement.ts";
import type { ProcessPlan } from "../launch/process-plan.ts";
import { isForeignRuntime } from "./runtime/find-runtime.ts";
import { planExecByRuntime } from "./runtime/plan-runtime-exec.ts";
import { commandCandidates, processEnvironment } from "./process-environment.ts";
import type { Exec } from "./types.ts";

/** The plan of an exec. The launcher inherits the container's pidfd. @throws invalid-argument (user) */
export function planExec(
  context: EngineContext,
  container: StoredContainer,
  options: { exec: Exec; engineStreams: { stdout: boolean; stderr: boolean } },
): Operation[] {
  const { spec, idBase } = container;
  const { exec } = options;
  const asked = exec.spec;
  const user = containerUser(context, container, asked.user || spec.user, spec.groupAdd);
  const environment = processEnvironment([...spec.environment, ...asked.environment], {
    ...user,
    hostname: spec.hostname,
    tty: asked.tty,
  });
  const workingDirectory = asked.workingDirectory || spec.workingDirectory || "/";
  const process: ProcessPlan = {
    argv: asked.command,
    candidates: commandCandidates(asked.command[0] ?? "", environment, workingDirectory),
    environment,
    workingDirectory,
    ...user,
    ...planConfinement(context, spec, {
      isRoot: user.uid === 0,
      privileged: asked.privileged || spec.privileged,
      ownIds: idBase !== 0,
    }),
    init: false,
    tty: asked.tty,
    terminalSize: asked.terminalSize,
    openStdin: asked.attachStdin,
    closeStdinWithClient: asked.attachStdin,
    engineStreams: streamBits(options.engineStreams),
    inheritedFds: 1,
    runDirectory: runDirectory(context.places, exec.id),
    log: null,
  };
  if (isForeignRuntime(spec.runtime)) return planExecByRuntime(context, container, process);
  return planExecLaunch({
    containerId: container.id,
    hasUserNamespace: idBase !== 0,
    hasTimeNamespace: spec.timeOffsetSeconds !== 0,
    sharesHostPid: spec.pidMode === "host",
    cgroup: context.cgroups.planEntry(container.id),
    rlimits: spec.ulimits,
    process,
  });
}
