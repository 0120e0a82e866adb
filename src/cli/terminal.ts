import type { World } from "./command.ts";

const TCGETS = 0x5401;
const TCSETS = 0x5402;
const TIOCGWINSZ = 0x5413;

// struct termios of <asm-generic/termbits.h>: four words of flags, a line discipline byte, 19 control characters.
const TERMIOS_BYTES = 36;
const IFLAG = 0;
const OFLAG = 4;
const CFLAG = 8;
const LFLAG = 12;
const VTIME = 17 + 5;
const VMIN = 17 + 6;

// termios(3), "Raw mode": the flags that cfmakeraw clears.
const RAW_IFLAG = 0o1 | 0o2 | 0o10 | 0o40 | 0o100 | 0o200 | 0o400 | 0o2000;
const RAW_OFLAG = 0o1;
const RAW_LFLAG = 0o1 | 0o2 | 0o10 | 0o100 | 0o100000;
const CSIZE_AND_PARENB = 0o60 | 0o400;
const CS8 = 0o60;

/** Puts the terminal back as it was; may be called more than once. */
export type Restore = () => void;

/**
 * Sets the terminal on standard input to raw mode: no echo, no lines, no signals from keys, and no changes to what is
 * printed, since the container's own terminal does all that. (Node's setRawMode leaves output processing on, which breaks
 * full-screen programs in the container.)
 */
export async function makeRaw(world: World): Promise<Restore> {
  const ioctl = await world.ioctl();
  const before = new Uint8Array(TERMIOS_BYTES);
  if (ioctl === undefined || ioctl(0, TCGETS, before) < 0) return nodeRaw();
  const raw = before.slice();
  const view = new DataView(raw.buffer);
  const change = (offset: number, clear: number, set: number = 0): void =>
    view.setUint32(offset, (view.getUint32(offset, true) & ~clear) | set, true);
  change(IFLAG, RAW_IFLAG);
  change(OFLAG, RAW_OFLAG);
  change(LFLAG, RAW_LFLAG);
  change(CFLAG, CSIZE_AND_PARENB, CS8);
  raw[VMIN] = 1;
  raw[VTIME] = 0;
  ioctl(0, TCSETS, raw);
  return once(() => ioctl(0, TCSETS, before));
}

function nodeRaw(): Restore {
  process.stdin.setRawMode?.(true);
  return once(() => process.stdin.setRawMode?.(false));
}

function once(restore: () => unknown): Restore {
  let done = false;
  const run = (): void => {
    if (done) return;
    done = true;
    restore();
  };
  // Also when the process ends on another way.
  process.once("exit", run);
  return run;
}

export interface TerminalSize {
  readonly rows: number;
  readonly columns: number;
}

/** Size of the terminal on standard output; undefined when it is none. */
export async function terminalSize(world: World): Promise<TerminalSize | undefined> {
  if (!(await world.output.outIsTerminal())) return undefined;
  const ioctl = await world.ioctl();
  const size = new Uint8Array(8);
  if (ioctl !== undefined && ioctl(1, TIOCGWINSZ, size) >= 0) {
    const view = new DataView(size.buffer);
    return { rows: view.getUint16(0, true), columns: view.getUint16(2, true) };
  }
  return { rows: process.stdout.rows, columns: process.stdout.columns };
}
