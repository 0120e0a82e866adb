import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { commandRoute } from "./api/command-route.ts";
import type { Route } from "./api/router.ts";
import { serveApi } from "./api/server.ts";
import type { WrittenSettings } from "./cli/command.ts";
import { invalidArgument, messageOf, isTiffinError } from "./base/error.ts";
import { type EngineSettings, openEngine } from "./engine/open-engine.ts";
import { restWhenIdle } from "./engine/rest-when-idle.ts";
import type { Places } from "./engine/types.ts";
import { parseFirewallPolicy } from "./network/firewall-policy.ts";

/** EX_TEMPFAIL of sysexits.h: another engine has these places. Who starts engines waits for that one to answer. */
const EXIT_PLACES_TAKEN = 75;

/** Names this build; scripts/build.ts puts it in. */
declare const TIFFIN_BUILD: string | undefined;

/** This program, for the commands that run inside of it. */
export interface Self {
  /** The command that runs it again. */
  readonly command: readonly string[];
  readonly version: string;
}

/**
 * Runs an engine in the foreground until SIGTERM or SIGINT; containers go on without it. Resolves to the exit status.
 * This and main.ts are the wiring: nothing else imports the engine, the API and the command line.
 */
export async function runEngine(
  places: Places,
  settings: WrittenSettings,
  self: Self,
): Promise<number> {
  try {
    const engine = await openEngine(places, engineSettings(settings));
    mkdirSync(dirname(places.socket), { recursive: true });
    const api = await serveApi(engine, {
      listen: places.socket,
      routes: commandRoutes(places, self),
    });
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

/** @throws invalid-argument */
function engineSettings({ firewall, ready }: WrittenSettings): EngineSettings {
  if (ready !== undefined && !/^\d{1,2}$/.test(ready)) {
    throw invalidArgument(
      `Cannot begin "${ready}" containers ahead: that is not a number from 0 to 99`,
      "See tiffin engine --ready and TIFFIN_READY",
    );
  }
  return {
    ...(firewall === undefined ? {} : { firewall: parseFirewallPolicy(firewall) }),
    ...(ready === undefined ? {} : { readyContainers: Number(ready) }),
  };
}

/** Commands for callers in front of the very same release (native/front.c); a checkout has no front. */
function commandRoutes({ socket }: Places, { command, version }: Self): readonly Route[] {
  if (typeof TIFFIN_BUILD === "undefined") return [];
  return [
    commandRoute(TIFFIN_BUILD, async (line, caller) => {
      const { runInEngine } = await import("./cli/run-in-engine.ts");
      const { TZ: timeZone } = process.env;
      return runInEngine(line, caller, { socket, self: command, version, timeZone });
    }),
  ];
}

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.once("SIGTERM", () => resolve());
    process.once("SIGINT", () => resolve());
  });
}
