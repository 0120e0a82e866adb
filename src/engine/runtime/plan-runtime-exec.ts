import type { Operation } from "../../base/operation.ts";
import type { ProcessPlan } from "../../launch/process-plan.ts";
import { CONSOLE_NAME, planRuntimeExec } from "../../launch/runtime-plan.ts";
import { runDirectory } from "../container-directories.ts";
import type { StoredContainer } from "../container-table.ts";
import type { EngineContext } from "../context.ts";
import { configText } from "./runtime-config.ts";
import { runtimeProcess } from "./runtime-process.ts";
import { commonWords, RUNTIME_FILES, rootPlace, runtimeProgram } from "./runtime-program.ts";

/** One more process by the runtime that made the container: no other program knows how to reach one in a machine of its own. */
export function planExecByRuntime(
  context: EngineContext,
  container: StoredContainer,
  process: ProcessPlan,
): Operation[] {
  const { id, spec } = container;
  const runtime = runtimeProgram(context, spec.runtime);
  const directory = process.runDirectory;
  const run = runDirectory(context.places, id);
  const common = commonWords(run, directory);
  const program = runtimeProcess(process, { rlimits: spec.ulimits, oomScoreAdjust: 0 });
  return planRuntimeExec({
    process,
    cgroup: context.cgroups.planEntry(id),
    place: rootPlace([run, runtime.path]),
    files: [{ name: RUNTIME_FILES.process, text: configText(program) }],
    exec: {
      runtime,
      what: `run "${process.argv[0] ?? ""}" in the container`,
      words: [
        ...common,
        "exec",
        "--process",
        `${directory}/${RUNTIME_FILES.process}`,
        "--pid-file",
        `${directory}/${RUNTIME_FILES.pid}`,
        "--detach",
        ...(process.tty ? ["--console-socket", CONSOLE_NAME] : []),
        id,
      ],
    },
  });
}
