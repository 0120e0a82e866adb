import { openSync, readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { scratch } from "./scratch.ts";

export interface CommandOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** A file for standard input. */
  readonly input?: string;
}

/** Beyond any honest figure: a command that takes longer hangs. */
const LIMIT_MS = 900_000;
let errorFile: number | undefined;

/** Standard error goes to a file: a pipe would have to be read while time is taken. */
function errorPath(): string {
  return join(scratch(), "stderr");
}

/**
 * Milliseconds from before the start of a program until its end is known. Its output is dropped.
 *
 * @throws with what it said, when it fails
 */
export async function timeCommand(
  command: readonly string[],
  options: CommandOptions = {},
): Promise<number> {
  errorFile ??= openSync(errorPath(), "a");
  truncateSync(errorPath());
  const environment = { ...process.env, ...options.environment };
  const input = options.input === undefined ? ("ignore" as const) : Bun.file(options.input);
  const start = performance.now();
  const child = Bun.spawn([...command], {
    env: environment,
    stdin: input,
    stdout: "ignore",
    stderr: errorFile,
    timeout: LIMIT_MS,
    killSignal: "SIGKILL",
  });
  const status = await child.exited;
  const took = performance.now() - start;
  if (status !== 0) throw failed(command, status, readFileSync(errorPath(), "utf8"));
  return took;
}

/** Standard output of a command. @throws with what it said, when it fails */
export async function outputOf(
  command: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const child = Bun.spawn([...command], {
    env: { ...process.env, ...options.environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: LIMIT_MS,
    killSignal: "SIGKILL",
  });
  const [output, errors, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (status !== 0) throw failed(command, status, errors);
  return output.trim();
}

function failed(command: readonly string[], status: number, errors: string): Error {
  return new Error(`${command.join(" ")}: exit status ${status}: ${errors.trim().slice(-500)}`);
}

/** "not installed: …", or undefined when all are there. */
export function missingPrograms(...programs: readonly string[]): string | undefined {
  const absent = programs.filter((program) => Bun.which(program) === null);
  return absent.length === 0 ? undefined : `not installed: ${absent.join(", ")}`;
}
