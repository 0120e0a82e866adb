import { messageOf } from "../../base/error.ts";
import { formatDuration } from "../../base/duration.ts";
import type { StoredContainer } from "../container-table.ts";
import type { EngineContext } from "../context.ts";
import { createExec, startExec } from "../exec-container.ts";
import type { HealthCheck } from "../types.ts";
import type { CheckOutcome } from "./socket-checks.ts";

/** docker's: what a check writes beyond this is dropped. */
const LONGEST_OUTPUT_BYTES = 4096;
const SIGKILL = 9;
const SHELL = ["/bin/sh", "-c"];

/** docker's words. */
export function timedOut(timeoutMs: number, output = ""): CheckOutcome {
  const time = formatDuration(BigInt(Math.round(timeoutMs * 1e6)));
  const words = `Health check exceeded timeout (${time})`;
  return { exitCode: -1, output: output === "" ? words : `${words}: ${output}` };
}

/** Runs a check's command in the container, as an exec that is gone afterwards. The time counts from the command's start. */
export async function checkByCommand(
  context: EngineContext,
  container: StoredContainer,
  check: HealthCheck,
  timeoutMs: number,
): Promise<CheckOutcome> {
  const [kind, ...words] = check.test;
  const command = kind === "CMD-SHELL" ? [...(check.shell ?? SHELL), ...words] : words;
  const { id } = createExec(context, container.id, {
    command,
    environment: [],
    workingDirectory: "",
    user: "",
    tty: false,
    terminalSize: { rows: 0, columns: 0 },
    privileged: false,
    attachStdin: false,
    attachStdout: true,
    attachStderr: true,
    detachKeys: "",
    isHealthCheck: true,
  });
  try {
    return await runExec(context, id, timeoutMs);
  } catch (error) {
    return { exitCode: -1, output: messageOf(error) };
  } finally {
    context.execs.delete(id);
  }
}

async function runExec(
  context: EngineContext,
  id: string,
  timeoutMs: number,
): Promise<CheckOutcome> {
  const session = await startExec(context, id, { detach: false, tty: false });
  const process = context.processes.get(id);
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    process?.signal(SIGKILL).catch(() => undefined);
  }, timeoutMs);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const { data } of session?.output ?? []) {
      if (bytes <= LONGEST_OUTPUT_BYTES) chunks.push(data.slice());
      bytes += data.length;
    }
    await process?.ended;
  } finally {
    clearTimeout(timer);
  }
  const kept = Buffer.concat(chunks).subarray(0, LONGEST_OUTPUT_BYTES).toString();
  const output = bytes > LONGEST_OUTPUT_BYTES ? `${kept}...` : kept;
  return isLate ? timedOut(timeoutMs, output) : { exitCode: exitCodeOf(context, id), output };
}

function exitCodeOf(context: EngineContext, id: string): number {
  return context.execs.find(id).exitCode ?? -1;
}
