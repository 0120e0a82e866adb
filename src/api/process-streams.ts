import type { AttachSession } from "../engine/types.ts";
import type { HijackedConnection } from "./reply.ts";
import { encodeFrame } from "./stream-frames.ts";

/**
 * Carries a process' streams over a connection until its output ends: raw bytes of a terminal, else docker's frames.
 * Each side waits for the other: what the client does not read stops the output, what the process does not read stops
 * the client. The client's half-close ends stdin alone; its leaving ends the session.
 */
export async function carryStreams(
  session: AttachSession,
  connection: HijackedConnection,
  options: { readonly tty: boolean; readonly stdin: boolean },
): Promise<void> {
  const leave = (): void => session.close();
  connection.signal.addEventListener("abort", leave, { once: true });
  if (connection.signal.aborted) leave();
  let inputError: Error | undefined;
  // Not awaited: with the output at its end, what the client still sends is nobody's.
  carryInput(session, connection, options.stdin).catch((error: unknown) => {
    inputError = error instanceof Error ? error : new Error(String(error));
  });
  try {
    for await (const { stream, data } of session.output) {
      await connection.write(options.tty ? data : encodeFrame(stream, data));
    }
  } finally {
    connection.signal.removeEventListener("abort", leave);
    session.close();
  }
  if (inputError !== undefined) throw inputError;
}

async function carryInput(
  session: AttachSession,
  connection: HijackedConnection,
  stdin: boolean,
): Promise<void> {
  // Without stdin the client's bytes are read and dropped, so that its leaving is seen.
  await connection.readInto(stdin ? (chunk) => session.write(chunk) : async () => undefined);
  if (stdin && !connection.signal.aborted) session.closeStdin();
}
