import { isCleaningUp } from "./clean-up.ts";
import { type CommandOptions, outputOf, timeCommand } from "./command.ts";

/** An engine that is measured: its command line, and how it is brought up and down. */
export interface Engine {
  readonly name: string;
  /** Why it cannot be measured here; undefined: it can. */
  readonly obstacle: string | undefined;
  /** What comes before each command. */
  readonly client: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** What each `run` is given so that it does the same as the others, and where we can find it again. */
  readonly runOptions: readonly string[];
  /** Options of `pull` for a registry without TLS. */
  readonly pullOptions: readonly string[];
  /** Kill and remove at once: podman's own default is to ask first, as `stop` does. */
  readonly removal: readonly string[];
  /** Options of `run` for a log that is never rotated. */
  readonly wholeLog: readonly string[];
  /** Its template for the path of a container's log. */
  readonly logPath: string;
  /** Brings it up, with the image `busybox`. What undoes that is given to `whenDone`. */
  start(): Promise<void>;
  /** Processes that run while no container does. */
  daemons(): number[];
  /** What was measured, in a few words. */
  describe(): Promise<string>;
}

const options = ({ environment }: Engine): CommandOptions => ({ environment });

const PATIENCE_MS = 15_000;
const underWay = new Set<Promise<unknown>>();

/**
 * A command of a measure. Once the end has begun, by a signal, none is started any more: it would make a container again, or
 * an engine (tiffin's client starts one when none answers). Its measure then waits for ever, and the process ends.
 */
function unlessEnding<Result>(start: () => Promise<Result>): Promise<Result> {
  if (isCleaningUp()) return new Promise(() => undefined);
  const command = start();
  const settled: Promise<unknown> = command.then(
    () => underWay.delete(settled),
    () => underWay.delete(settled),
  );
  underWay.add(settled);
  return command;
}

/** Milliseconds of a whole command. */
export function time(engine: Engine, ...args: readonly string[]): Promise<number> {
  return unlessEnding(() => timeCommand([...engine.client, ...args], options(engine)));
}

export async function perform(engine: Engine, ...args: readonly string[]): Promise<void> {
  await time(engine, ...args);
}

export function output(engine: Engine, ...args: readonly string[]): Promise<string> {
  return unlessEnding(() => outputOf([...engine.client, ...args], options(engine)));
}

/** The arguments of `run`, without a network. */
export function runArguments(engine: Engine, ...args: readonly string[]): string[] {
  return ["run", "--network", "none", ...engine.runOptions, ...args];
}

/** The arguments of a container that stays. It ends at once when told to by SIGTERM: no engine has to wait for it. */
export function backgroundArguments(engine: Engine, name: string): string[] {
  const script = "trap 'exit 0' TERM; sleep 100000 & wait";
  return runArguments(engine, "-d", "--name", name, "busybox", "sh", "-c", script);
}

/** The container's first process. Its parent is the process beside it: supervisor, shim or conmon. */
export async function containerPid(engine: Engine, name: string): Promise<number> {
  return Number(await output(engine, "inspect", "--format", "{{.State.Pid}}", name));
}

/** Tries a command until it succeeds. @throws its last failure after `patienceMs` */
export async function waitUntilAnswers(
  engine: Engine,
  args: readonly string[],
  patienceMs = 20_000,
): Promise<void> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    try {
      await perform(engine, ...args);
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await Bun.sleep(50);
    }
  }
}

/** Milliseconds to kill and remove containers. */
export function timeRemoval(engine: Engine, ...names: readonly string[]): Promise<number> {
  return time(engine, ...engine.removal, ...names);
}

export async function remove(engine: Engine, ...names: readonly string[]): Promise<void> {
  await timeRemoval(engine, ...names);
}

/** Removes all containers of an engine, running or not, at the end: those too that are just being made. */
export async function removeContainers(engine: Engine): Promise<void> {
  // Not for ever: what follows a container ends only with it.
  await Promise.race([Promise.all(underWay), Bun.sleep(PATIENCE_MS)]);
  const listed = await outputOf([...engine.client, "ps", "-aq"], options(engine));
  const ids = listed.split("\n").filter(Boolean);
  if (ids.length === 0) return;
  await timeCommand([...engine.client, ...engine.removal, ...ids], options(engine));
}

/** Ends a daemon that we started: asked first, then by force. */
export async function endDaemon(daemon: Bun.Subprocess): Promise<void> {
  daemon.kill("SIGTERM");
  const ended = await Promise.race([daemon.exited, Bun.sleep(PATIENCE_MS)]);
  if (ended !== undefined) return;
  daemon.kill("SIGKILL");
  await daemon.exited;
}
