import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { serveApi } from "./api/server.ts";
import { messageOf, isTiffinError } from "./base/error.ts";
import { openEngine } from "./engine/open-engine.ts";
import { restWhenIdle } from "./engine/rest-when-idle.ts";
import type { Places } from "./engine/types.ts";

/** EX_TEMPFAIL of sysexits.h: another engine has these places. Who starts engines waits for that one to answer. */
const EXIT_PLACES_TAKEN = 75;

/**
 * Runs an engine in the foreground until SIGTERM or SIGINT; containers go on without it. Resolves to the exit status.
 * This and main.ts are the wiring: nothing else imports both the engine and the API.
 */
export async function runEngine(places: Places): Promise<number> {
  try {
    const engine = await openEngine(places);
    mkdirSync(dirname(places.socket), { recursive: true });
    const api = await serveApi(engine, { listen: places.socket });
    const pidFile = join(places.run, "engine.pid");
    writeFileSync(pidFile, `${process.pid}\n`);
    const stopResting = restWhenIdle();
    await stopSignal();
    stopResting();
    await api.close();
    // Before the places are free for another engine, which writes its own.
    rmSync(pidFile, { force: true });
    await engine.close();
    return 0;
  } catch (error) {
    console.error(`tiffin engine: ${messageOf(error)}`);
    if (isTiffinError(error) && error.hint !== undefined) console.error(error.hint);
    return isTiffinError(error, "conflict") ? EXIT_PLACES_TAKEN : 1;
  }
}

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.once("SIGTERM", () => resolve());
    process.once("SIGINT", () => resolve());
  });
}
