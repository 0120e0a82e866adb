import { apiPath } from "../../../api/client.ts";
import type { Context } from "../../command.ts";
import { openSession, type SessionEnd, type SessionOptions } from "../../session.ts";
import { waitForExit, type WaitCondition } from "./exit-status.ts";

/** A container's streams connected with ours, and its exit status to come. */
export interface Connection {
  readonly end: Promise<SessionEnd>;
  readonly status: Promise<number>;
  close(): void;
}

/** Attaches to a container and waits for it: both are in place when this resolves, so a start after it loses nothing. */
export async function connectTo(
  context: Context,
  id: string,
  options: SessionOptions & { readonly until: WaitCondition },
): Promise<Connection> {
  const { api, world } = context;
  const query = {
    stream: 1,
    ...(options.stdin ? { stdin: 1 } : {}),
    ...(options.stdout ? { stdout: 1 } : {}),
    ...(options.stderr ? { stderr: 1 } : {}),
    detachKeys: options.detachKeys || undefined,
  };
  const [stream, exit] = await Promise.all([
    api.hijack("POST", apiPath("containers", id, "attach"), { query }),
    waitForExit(context, id, options.until),
  ]);
  const session = await openSession(stream, options, world);
  // Without output to wait for, the exit alone ends the command.
  const end =
    options.stdout || options.stderr
      ? session.end
      : Promise.race([session.end, exit.status.then((): SessionEnd => "ended")]);
  return { end, status: exit.status, close: session.close };
}

/** Stays until the container's output has ended or the user detaches. Resolves to the command's exit status. */
export async function stayConnected(connection: Connection): Promise<number> {
  const end = await connection.end;
  connection.close();
  return end === "detached" ? 0 : connection.status;
}
