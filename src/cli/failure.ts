import { isTiffinError, messageOf, TiffinError } from "../base/error.ts";

/** The engine itself failed, or the command line is wrong: docker's own status for `run`, `create` and bad flags. */
export const ENGINE_FAILED = 125;
export const NOT_EXECUTABLE = 126;
export const NOT_FOUND = 127;

/** An error that ends the command with that exit status. The message is printed as it is. */
export function failure(message: string, exitStatus: number = 1): TiffinError {
  return new TiffinError("invalid-argument", message, { details: { exitStatus, asItIs: true } });
}

/** The command line is right, its values are not: `tiffin: MESSAGE`, then where to read more. */
export function wrongUse(command: string, message: string): TiffinError {
  return failure(
    `tiffin: ${message}\n\nRun 'tiffin ${command} --help' for more information`,
    ENGINE_FAILED,
  );
}

/** What the user reads about an error: the message, and on a line of its own what to do. */
export function describe(error: unknown): string {
  const message = messageOf(error);
  if (!(error instanceof TiffinError)) return `tiffin: ${message}`;
  const text = error.details?.["asItIs"] === true ? message : `tiffin: ${message}`;
  return error.hint === undefined ? text : `${text}\nhint: ${error.hint}`;
}

/** The exit status that an error asks for; 1 when it does not. */
export function exitStatusOf(error: unknown): number {
  const status = error instanceof TiffinError ? error.details?.["exitStatus"] : undefined;
  return typeof status === "number" ? status : 1;
}

/** The same error with another exit status. */
export function withExitStatus(error: unknown, exitStatus: number): TiffinError {
  const hint = error instanceof TiffinError ? error.hint : undefined;
  const code = error instanceof TiffinError ? error.code : "internal";
  const details = error instanceof TiffinError ? error.details : undefined;
  return new TiffinError(code, messageOf(error), {
    ...(hint === undefined ? {} : { hint }),
    cause: error,
    details: { ...details, exitStatus },
  });
}

const NOT_FOUND_WORDS = ["executable file not found", "no such file or directory"];
const NOT_EXECUTABLE_WORDS = ["permission denied", "is a directory"];

/**
 * The exit status of `run` for an error of create or start: 127 when the command is not there, 126 when it cannot be
 * executed, else 125 (chroot(1)'s rule, which docker follows). Engines that send no code are understood by their words.
 */
export function startFailureStatus(error: unknown): number {
  if (isTiffinError(error, "command-not-found")) return NOT_FOUND;
  if (isTiffinError(error, "command-not-executable")) return NOT_EXECUTABLE;
  if (error instanceof TiffinError && error.details?.["coded"] === true) return ENGINE_FAILED;
  const message = messageOf(error).toLowerCase();
  if (NOT_FOUND_WORDS.some((words) => message.includes(words))) return NOT_FOUND;
  return NOT_EXECUTABLE_WORDS.some((words) => message.includes(words))
    ? NOT_EXECUTABLE
    : ENGINE_FAILED;
}

/** Many things were asked for and some failed: all their messages. Undefined when none did. */
export function joined(errors: readonly unknown[]): TiffinError | undefined {
  if (errors.length === 0) return undefined;
  return failure(errors.map(describe).join("\n"), 1);
}
