import { writeSync } from "node:fs";
import type { Output } from "./command.ts";

/** The reader of our output has gone. */
export class BrokenPipe extends Error {}

const RETRY_MS = 2;

/** Standard output and error of this process, written straight to the descriptors: no stream to set up or to flush. */
export function standardOutput(): Output {
  return {
    out: (data) => writeAll(1, data),
    error: (data) => writeAll(2, data),
    outIsTerminal: async () => (await import("node:tty")).isatty(1),
    inIsTerminal: async () => (await import("node:tty")).isatty(0),
  };
}

/** @throws BrokenPipe */
async function writeAll(fd: number, data: string | Uint8Array): Promise<void> {
  let rest = typeof data === "string" ? Buffer.from(data) : data;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === "EPIPE") throw new BrokenPipe("the reader of the output has gone");
      // Another process may have made the shared terminal or pipe non-blocking.
      if (code !== "EAGAIN" && code !== "EINTR") throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}
