import { existsSync, readFileSync } from "node:fs";
import { messageOf } from "../../base/error.ts";
import { planRuntimeCommand } from "../../launch/runtime-plan.ts";
import { runDirectory } from "../container-directories.ts";
import type { EngineContext } from "../context.ts";
import { runtimeFailure } from "./runtime-failure.ts";
import { commonWords, programAt, RUNTIME_FILES } from "./runtime-program.ts";

/** A virtual machine takes its time; what then still runs is killed with its group. */
const DELETE_PATIENCE_MS = 20_000;

/** Path of the runtime that made the container of a run directory, or undefined when none did. */
function runtimeOf(directory: string): string | undefined {
  const file = `${directory}/${RUNTIME_FILES.program}`;
  return existsSync(file) ? readFileSync(file, "utf8") || undefined : undefined;
}

/**
 * Signals the first process of a container that a runtime made, by that runtime: what the host sees of it may be a machine. False
 * when the runtime could not: the container has ended, or its supervisor is to do it.
 */
export async function signalByRuntime(
  context: EngineContext,
  id: string,
  signal: number,
): Promise<boolean> {
  const directory = runDirectory(context.places, id);
  const path = runtimeOf(directory);
  if (path === undefined) return false;
  const call = { directory, path, words: ["kill", id, String(signal)], what: "signal" };
  return runRuntime(context, call).then(
    () => true,
    () => false,
  );
}

/**
 * Has the runtime that made a container forget it. Idempotent; what the runtime cannot do is told, and left to the removal of the
 * container's groups and of its run directory, in which the runtime keeps all.
 */
export async function deleteByRuntime(context: EngineContext, id: string): Promise<void> {
  const directory = runDirectory(context.places, id);
  const path = runtimeOf(directory);
  // Without a state the runtime never made it.
  if (path === undefined || !existsSync(`${directory}/${RUNTIME_FILES.state}`)) return;
  const call = { directory, path, words: ["delete", "--force", id], what: "delete" };
  await Promise.race([runRuntime(context, call), Bun.sleep(DELETE_PATIENCE_MS)]).catch(
    (error: unknown) => console.error(`tiffin: container ${id}: ${messageOf(error)}`),
  );
}

async function runRuntime(
  context: EngineContext,
  call: {
    readonly directory: string;
    readonly path: string;
    readonly words: readonly string[];
    readonly what: string;
  },
): Promise<void> {
  const { directory, path, words, what } = call;
  const runtime = programAt(context, path.slice(path.lastIndexOf("/") + 1), path);
  const plan = planRuntimeCommand(
    {
      runtime,
      words: [...commonWords(directory, directory), ...words],
      what: `${what} the container`,
    },
    directory,
  );
  try {
    await context.launcher.run(plan, `tiffin-${what}`);
  } catch (error) {
    throw runtimeFailure(error, { runtime: runtime.name, directory, command: "" });
  }
}
