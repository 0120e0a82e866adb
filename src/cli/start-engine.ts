import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf, TiffinError } from "../base/error.ts";
import { Connection } from "../api/client-connection.ts";
import type { ChosenPlaces, World } from "./command.ts";
import { settingWords } from "./engine-command.ts";

/** How long an engine may take to answer. A machine under load starts programs slowly. */
const PATIENCE_MS = 15_000;
const FIRST_PAUSE_MS = 2;
const LONGEST_PAUSE_MS = 50;
const LOG_TAIL_LINES = 10;
/** An engine that fails is tried again: the one before it may still be on its way out. */
const MOST_FAILURES = 6;
const FAILURE_PAUSE_MS = 500;
/** EX_TEMPFAIL of sysexits.h: another engine holds these places. */
const HELD_STATUS = 75;
const LOCK_EXCLUSIVE_NOW = 2 | 4;

interface EnginePlaces extends ChosenPlaces {
  /** Path of the socket to wait for. */
  readonly socket: string;
}

/**
 * Starts an engine in the background and waits until it answers. Of several commands that find none, one starts it: the
 * holder of a lock in the run directory; the others wait for the socket.
 *
 * @throws unavailable, with the end of the engine's log
 */
export async function startEngine(places: EnginePlaces, world: World): Promise<void> {
  const logFile = join(places.run, "engine.log");
  const lock = await openLock(places, world);
  try {
    const deadline = performance.now() + PATIENCE_MS;
    let engine: BackgroundEngine | undefined;
    let failures = 0;
    let pause = FIRST_PAUSE_MS;
    while (performance.now() < deadline) {
      if (await answers(places.socket)) return;
      // The lock of a command that was killed while it started the engine is free again.
      if (engine === undefined && lock.take()) engine = launch(places, world, logFile);
      const status = engine?.status();
      if (status !== undefined) {
        if (status !== 0 && status !== HELD_STATUS) failures += 1;
        if (failures >= MOST_FAILURES) break;
        engine = undefined;
        pause = FAILURE_PAUSE_MS;
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
      pause = Math.min(pause * 1.5, LONGEST_PAUSE_MS);
    }
    throw notStarted(places, logFile);
  } finally {
    lock.close();
  }
}

interface Lock {
  /** True when this process holds it. */
  take(): boolean;
  close(): void;
}

async function openLock(places: EnginePlaces, world: World): Promise<Lock> {
  let fd: number;
  try {
    mkdirSync(places.run, { recursive: true });
    fd = openSync(join(places.run, "start.lock"), "a", 0o600);
  } catch (error) {
    throw new TiffinError("unavailable", `Cannot start the engine: ${messageOf(error)}`, {
      hint: "Run the command as root, or choose other places with --root and --run",
      cause: error,
    });
  }
  const flock = await world.flock();
  return {
    // Without flock(2) every command starts one; the engine's own lock lets one of them live.
    take: () => flock === undefined || flock(fd, LOCK_EXCLUSIVE_NOW) === 0,
    close: () => closeSync(fd),
  };
}

interface BackgroundEngine {
  /** Its exit status once it has ended: it did not come up, or left the field to another engine. */
  status(): number | undefined;
}

function launch(places: EnginePlaces, world: World, logFile: string): BackgroundEngine {
  const [program = "", ...words] = world.self;
  const log = openSync(logFile, "a", 0o600);
  const flags = ["--root", places.root, "--run", places.run, "--host", `unix://${places.socket}`];
  if (places.debug) flags.push("--debug");
  const settings = settingWords(world.environment);
  // Of its own session, so that it outlives this terminal; nothing of this directory is kept in use.
  const line = [...words, ...flags, "--log-level", places.logLevel, "engine", ...settings];
  const child = spawn(program, line, {
    detached: true,
    cwd: "/",
    stdio: ["ignore", log, log],
    env: { PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin", ...timeZone() },
  });
  closeSync(log);
  let ended: number | undefined;
  child.on("error", () => {
    ended = 1;
  });
  child.on("exit", (status) => {
    ended = status ?? 1;
  });
  child.unref();
  return { status: () => ended };
}

function timeZone(): Record<string, string> {
  const { TZ } = process.env;
  return TZ === undefined ? {} : { TZ };
}

async function answers(socket: string): Promise<boolean> {
  try {
    (await Connection.open({ path: socket })).close();
    return true;
  } catch {
    // Not yet: the file is missing, or is left from an engine that has ended.
    return false;
  }
}

function notStarted(places: EnginePlaces, logFile: string): TiffinError {
  const tail = logTail(logFile);
  const words = tail === "" ? "its log is empty" : `the end of its log:\n${tail}`;
  return new TiffinError("unavailable", `Cannot start the engine at ${places.socket}: ${words}`, {
    hint: `Run "tiffin engine" to see it in the foreground; its log is ${logFile}`,
  });
}

function logTail(logFile: string): string {
  try {
    return readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-LOG_TAIL_LINES).join("\n");
  } catch {
    // The directory may be gone, and then there is no log to show.
    return "";
  }
}
