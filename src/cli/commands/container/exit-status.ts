import { apiPath } from "../../../api/client.ts";
import type { Context } from "../../command.ts";
import { ENGINE_FAILED } from "../../failure.ts";

export type WaitCondition = "not-running" | "next-exit" | "removed";

/**
 * Waits for a container. Resolves once the engine has taken the wait on; `status` resolves to the exit status, 125 when the
 * engine could not tell.
 */
export async function waitForExit(
  context: Context,
  id: string,
  condition: WaitCondition,
): Promise<{ status: Promise<number> }> {
  const response = await context.api.request("POST", apiPath("containers", id, "wait"), {
    query: { condition },
  });
  return { status: readStatus(context, response) };
}

async function readStatus(
  context: Context,
  response: { json(): Promise<unknown> },
): Promise<number> {
  const result = (await response.json()) as {
    StatusCode: number;
    Error?: { Message?: string } | null;
  };
  const message = result.Error?.Message;
  if (message === undefined || message === "") return result.StatusCode;
  await context.warn(`Error waiting for container: ${message}`);
  return ENGINE_FAILED;
}
