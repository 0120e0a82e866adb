import { appendFileSync, writeSync } from "node:fs";
import { isTiffinError, messageOf } from "../base/error.ts";

export type LogFormat = "text" | "json";

/** Where errors and warnings go: `--log FILE` in `--log-format`, errors in any case to standard error too. */
export class Reporter {
  private readonly file: string | undefined;
  private readonly format: LogFormat;

  constructor(file: string | undefined, format: LogFormat) {
    this.file = file;
    this.format = format;
  }

  warn(text: string): void {
    this.write("warning", text);
    if (this.file === undefined) say(`warning: ${text}`);
  }

  error(error: unknown): void {
    const text = wordsOf(error);
    this.write("error", text);
    say(text);
  }

  private write(level: "warning" | "error", msg: string): void {
    if (this.file === undefined) return;
    const time = new Date().toISOString();
    const line =
      this.format === "json"
        ? JSON.stringify({ level, msg, time })
        : `time="${time}" level=${level} msg=${JSON.stringify(msg)}`;
    appendFileSync(this.file, `${line}\n`);
  }
}

function wordsOf(error: unknown): string {
  const hint = isTiffinError(error) ? error.hint : undefined;
  return hint === undefined ? messageOf(error) : `${messageOf(error)} (${hint})`;
}

function say(text: string): void {
  try {
    writeSync(2, `tiffin oci: ${text}\n`);
  } catch {
    // Nobody listens; the exit status says it too.
  }
}
