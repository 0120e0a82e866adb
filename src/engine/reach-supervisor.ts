import { isTiffinError } from "../base/error.ts";
import { foreignPid } from "../launch/report.ts";
import { SupervisorConnection } from "../launch/supervisor-connection.ts";

const FIRST_PAUSE_MS = 5;
const LONGEST_PAUSE_MS = 500;

/** A supervisor that an engine reached by its socket, and the process that it watches over. */
export interface Reached {
  readonly connection: SupervisorConnection;
  readonly pid: number;
}

/**
 * Connects to the supervisor of a run directory; undefined when there is none (any more). Only that answer means that it
 * is gone: one that is busy, out of places for clients or stopped is waited for, however long.
 */
export async function reachSupervisor(directory: string): Promise<Reached | undefined> {
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      const connection = await SupervisorConnection.open(`${directory}/s`);
      return { connection, pid: foreignPid(await connection.report()) };
    } catch (error) {
      if (isTiffinError(error, "not-found")) return undefined;
      await Bun.sleep(pause);
    }
  }
}
