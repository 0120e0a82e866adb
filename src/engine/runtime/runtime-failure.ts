import { readFileSync } from "node:fs";
import { type ErrorCode, isTiffinError, TiffinError } from "../../base/error.ts";
import { RUNTIME_FILES } from "./runtime-program.ts";

/**
 * The error of a launch whose runtime failed, with what the runtime said; any other error as it is. A program that is not there
 * or cannot be executed has docker's codes, by docker's rule: the runtime's words, when they name the program.
 *
 * @param failed.directory where the runtime's log is
 */
export function runtimeFailure(
  error: unknown,
  failed: { readonly runtime: string; readonly directory: string; readonly command: string },
): unknown {
  if (!isTiffinError(error) || error.details?.["call"] !== "futex") return error;
  const said = lastError(`${failed.directory}/${RUNTIME_FILES.log}`);
  const what = error.message.replace(/ with .*$/s, "");
  return new TiffinError(
    codeOf(said, failed.command),
    `${what} with ${failed.runtime}: ${said || "the runtime said nothing"}`,
    { ...hintFor(said), cause: error },
  );
}

/** What was asked for is nothing that this runtime does here: no fault of the engine's. */
const REFUSED: ErrorCode = "invalid-argument";

function codeOf(said: string, command: string): ErrorCode {
  const isOfProgram = command !== "" && (said.includes(command) || said.includes("executable"));
  if (!isOfProgram) return REFUSED;
  if (/executable file .*not found|no such file or directory/i.test(said)) {
    return "command-not-found";
  }
  return /permission denied|exec format error|is a directory/i.test(said)
    ? "command-not-executable"
    : REFUSED;
}

function hintFor(said: string): { hint?: string } {
  return /hybrid mode/.test(said)
    ? {
        hint: "This runtime needs cgroup v1 or v2 alone: use runc, or the engine itself (no --runtime)",
      }
    : {};
}

/** Each line of the log is a JSON object; some runtimes write plain lines all the same. */
function lastError(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return "";
  }
  const messages = text.split("\n").flatMap((line) => (line === "" ? [] : [messageIn(line)]));
  return (messages.findLast(({ isError }) => isError) ?? messages.at(-1))?.message ?? "";
}

function messageIn(line: string): { message: string; isError: boolean } {
  try {
    const { level, msg } = JSON.parse(line) as { level?: unknown; msg?: unknown };
    if (typeof msg === "string") {
      return { message: msg.trim(), isError: level === "error" || level === "fatal" };
    }
  } catch {
    // A plain line.
  }
  return { message: line.trim(), isError: false };
}
