import type { ApiClient, HijackedStream } from "../api/client.ts";
import { apiPath } from "../api/client.ts";
import type { Context, World } from "./command.ts";
import { demultiplex } from "./demultiplex.ts";
import { DetachScanner, parseDetachKeys } from "./detach-keys.ts";
import { standardInput } from "./input.ts";
import { makeRaw, type Restore, terminalSize } from "./terminal.ts";

export interface SessionOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
  readonly detachKeys: string;
}

/** How a session ended: the process' output ended, or the user typed the detach keys. */
export type SessionEnd = "ended" | "detached";

/**
 * Connects this process' standard streams with a container's or exec's: the terminal raw where there is one, output taken
 * apart, the end of our input passed on while output still comes.
 * Resolves once the terminal is set up. `end` resolves when all output has been written (when no output was asked for:
 * when input has ended).
 */
export async function openSession(
  stream: HijackedStream,
  options: SessionOptions,
  world: World,
): Promise<{ end: Promise<SessionEnd>; close: () => void }> {
  const isInteractive = options.tty && options.stdin;
  const isRaw = isInteractive && (await world.output.inIsTerminal());
  const restore: Restore = isRaw ? await makeRaw(world) : noop;
  const input = options.stdin ? sendInput(stream, options) : endInput(stream, options);
  const hasOutput = options.stdout || options.stderr;
  const output = hasOutput
    ? showOutput(stream, options, world)
    : input.then((): SessionEnd => "ended");
  // The first that decides: output's end, or the keys. Input that merely ends decides nothing.
  const detached = input.then((how) => (how === "detached" ? how : new Promise<never>(noop)));
  const end = Promise.race([output, detached]).finally(restore);
  // It may fail while the caller still waits for the start; it is told when it looks.
  end.catch(noop);
  const close = (): void => {
    restore();
    stream.close();
  };
  return { end, close };
}

function noop(): void {}

async function endInput(stream: HijackedStream, options: SessionOptions): Promise<SessionEnd> {
  // Without a terminal the engine may be told at once that no input will come.
  if (!options.tty) stream.endWrite();
  return "ended";
}

async function sendInput(stream: HijackedStream, options: SessionOptions): Promise<SessionEnd> {
  const scanner = options.tty ? new DetachScanner(parseDetachKeys(options.detachKeys)) : undefined;
  for await (const chunk of standardInput()) {
    const scanned = scanner?.scan(chunk);
    await stream.write(scanned?.data ?? chunk);
    if (scanned?.detached === true) return "detached";
  }
  stream.endWrite();
  return "ended";
}

async function showOutput(
  stream: HijackedStream,
  options: SessionOptions,
  world: World,
): Promise<SessionEnd> {
  const { output } = world;
  if (options.tty) {
    for await (const chunk of stream.output) await output.out(chunk);
    return "ended";
  }
  await demultiplex(stream.output, {
    out: (data) => (options.stdout ? output.out(data) : Promise.resolve()),
    error: (data) => (options.stderr ? output.error(data) : Promise.resolve()),
  });
  return "ended";
}

/** What a terminal's size is told to: `["containers", id]` or `["exec", id]`. */
export type Resizable = readonly ["containers" | "exec", string];

/** Tells the engine the terminal's size, now and whenever it changes. Failing is no harm: the process may have gone. */
export async function followTerminalSize(
  api: ApiClient,
  target: Resizable,
  world: World,
): Promise<void> {
  const tell = async (): Promise<void> => {
    const size = await terminalSize(world);
    if (size === undefined || size.rows === 0) return;
    const query = { h: size.rows, w: size.columns };
    await api.run("POST", apiPath(...target, "resize"), { query }).catch(noop);
  };
  process.on("SIGWINCH", () => void tell());
  await tell();
}

/** So many requests to end, and the command itself ends, whatever the container does. */
const PATIENCE = 3;

/** Passes the signals that this process gets on to the container. */
export function proxySignals({ api, world }: Context, id: string): void {
  let endings = 0;
  world.onSignal((signal) => {
    if (signal === "SIGINT" || signal === "SIGTERM") endings += 1;
    if (endings >= PATIENCE) {
      const words = "got 3 SIGTERM/SIGINTs, forcefully exiting\n";
      void world.output.error(words).finally(() => world.exit(1));
    }
    const query = { signal: signal.slice("SIG".length) };
    // A container that has ended, or has not started yet, cannot take a signal; docker passes over it too.
    void api.run("POST", apiPath("containers", id, "kill"), { query }).catch(noop);
  });
}
