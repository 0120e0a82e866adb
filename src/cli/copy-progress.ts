import { humanSize } from "../base/size.ts";
import type { Context } from "./command.ts";

const INTERVAL_MS = 75;
const SAVE = "\x1b7";
const RESTORE = "\x1b8";
const ERASE_LINE = "\x1b[2K";
const HIDE_CURSOR = "\x1b[?25l";
const SHOW_CURSOR = "\x1b[?25h";

/** How much was copied: on a terminal shown while it grows, and told at the end. */
export class CopyProgress {
  private bytes = 0;
  private shown = 0;
  private readonly context: Context;
  private readonly header: string;
  private readonly isQuiet: boolean;

  constructor(context: Context, direction: "to" | "from", isQuiet: boolean) {
    this.context = context;
    this.header = `Copying ${direction} container - `;
    this.isQuiet = isQuiet;
  }

  /** Passes an archive on and counts it. */
  async *count(archive: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
    if (this.isQuiet) {
      yield* archive;
      return;
    }
    const isTerminal = await this.context.world.output.outIsTerminal();
    if (isTerminal) await this.error(`${SAVE}${HIDE_CURSOR}${this.line()}`);
    try {
      for await (const chunk of archive) {
        this.bytes += chunk.length;
        if (isTerminal && performance.now() - this.shown >= INTERVAL_MS) {
          this.shown = performance.now();
          await this.error(this.line());
        }
        yield chunk;
      }
    } finally {
      if (isTerminal) await this.error(`${RESTORE}${ERASE_LINE}${SHOW_CURSOR}`);
    }
  }

  /** Docker's last word. */
  async finish(destination: string): Promise<void> {
    if (this.isQuiet) return;
    const size = humanSize(this.bytes, 3);
    await this.error(`Successfully copied ${size} to ${destination}\n`);
  }

  private line(): string {
    return `${RESTORE}${ERASE_LINE}${this.header}${humanSize(this.bytes, 3)}`;
  }

  private error(text: string): Promise<void> {
    return this.context.world.output.error(text);
  }
}
