import { createWriteStream, writeSync } from "node:fs";
import { ReadStream } from "node:tty";
import { TTY_IOCTL } from "../kernel/flags.ts";
import { syscallRaw } from "../kernel/syscall.ts";

const TIOCGWINSZ = 0x5413;

export interface TerminalProxy {
  /** Shows what is left, and gives one's own terminal back as it was. */
  finish(): Promise<void>;
}

/** Copies between this process's standard streams and a terminal's master end, and follows its size. */
export function showTerminal(master: number): TerminalProxy {
  const isTerminal = process.stdin.isTTY;
  const resize = (): void => {
    const size = new Uint8Array(8);
    if (syscallRaw("ioctl", 0, TIOCGWINSZ, size) === 0) {
      syscallRaw("ioctl", master, TTY_IOCTL.TIOCSWINSZ, size);
    }
  };
  resize();
  process.on("SIGWINCH", resize);
  if (isTerminal) process.stdin.setRawMode(true);
  process.stdin.on("data", (data: Uint8Array) => writeAll(master, data));
  const output = new ReadStream(master);
  const screen = createWriteStream("", { fd: 1, autoClose: false });
  const ended = new Promise<void>((resolve) => {
    output.on("data", (data: Uint8Array) => {
      if (!screen.write(data)) {
        output.pause();
        screen.once("drain", () => output.resume());
      }
    });
    // EIO: nobody has the other end open any more.
    output.on("error", () => resolve());
    output.on("close", () => resolve());
    output.on("end", () => resolve());
  });
  return {
    finish: async () => {
      await Promise.race([ended, Bun.sleep(100)]);
      process.stdin.pause();
      if (isTerminal) process.stdin.setRawMode(false);
      await new Promise<void>((resolve) => screen.end(() => resolve()));
    },
  };
}

function writeAll(fd: number, data: Uint8Array): void {
  let rest = data;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code !== "EAGAIN") return;
      Bun.sleepSync(1);
    }
  }
}
