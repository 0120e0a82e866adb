import { messageOf } from "../../base/error.ts";
import { monotonicMs } from "../../kernel/clock.ts";
import type { RulesetAuthor } from "../../kernel/nft-watch.ts";
import type { Notices } from "../../kernel/notices.ts";
import type { Firewall } from "./firewall.ts";

/** What was found and done. */
export interface Restoration {
  /** `table inet tiffin is gone` */
  readonly lack: string;
  /** Who changed something in the table first since all was well: `nft (process 812)`. */
  readonly by: string;
  /** How many times in a row it was put back by now. */
  readonly times: number;
}

/** A tool that changes much does so in several steps. */
const PAUSE_MS = 20;
/** With who takes it away again and again nobody fights: each time in a row it is left away for twice as long. */
const FIRST_PAUSE_IN_A_ROW_MS = 200;
const LONGEST_PAUSE_MS = 60_000;
/** What has stayed for so long was not taken away in a row with what comes then. */
const QUIET_MS = 30_000;
/** Looking takes at most one part in so many of the time, however often others change their rules. */
const IDLE_PARTS = 50;

/** Puts the engine's table back when somebody took it, or a part of it, away. It costs nothing while nobody changes rules. */
export class FirewallWatch {
  private readonly firewall: Firewall;
  private readonly onRestored: (restoration: Restoration) => void;
  private notices: Notices | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private author: RulesetAuthor | undefined;
  private times = 0;
  private restoredAtMs = Number.NEGATIVE_INFINITY;
  private notBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(firewall: Firewall, onRestored: (restoration: Restoration) => void) {
    this.firewall = firewall;
    this.onRestored = onRestored;
  }

  /** Begins, unless it has begun, or there is no table to be watched. */
  begin(): void {
    if (this.notices || this.firewall.inForce === "none") return;
    try {
      this.notices = this.firewall.watch((author) => {
        this.author ??= author;
        this.lookLater();
      });
    } catch (error) {
      console.error(`tiffin: nobody watches the firewall's table: ${messageOf(error)}`);
    }
  }

  close(): void {
    clearTimeout(this.timer);
    this.notices?.stop();
    this.notices = undefined;
  }

  private lookLater(): void {
    const now = monotonicMs();
    const sinceMs = now - this.restoredAtMs;
    if (sinceMs > Math.max(QUIET_MS, 2 * pauseMs(this.times))) this.times = 0;
    const waitMs = Math.max(PAUSE_MS, pauseMs(this.times) - sinceMs, this.notBeforeMs - now);
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.look();
    }, waitMs);
  }

  private look(): void {
    const began = monotonicMs();
    try {
      const lack = this.firewall.lack();
      if (lack !== "") this.restore(lack);
      this.author = undefined;
    } catch (error) {
      console.error(`tiffin: cannot put back the firewall's table: ${messageOf(error)}`);
      this.lookLater();
    } finally {
      const now = monotonicMs();
      this.notBeforeMs = now + IDLE_PARTS * (now - began);
    }
  }

  private restore(lack: string): void {
    this.times += 1;
    this.restoredAtMs = monotonicMs();
    this.firewall.makeAgain();
    const { pid, program } = this.author ?? { pid: 0, program: "" };
    const by = program === "" ? "somebody" : `${program} (process ${pid})`;
    this.onRestored({ lack, by, times: this.times });
  }
}

/** After so many times in a row. */
function pauseMs(times: number): number {
  if (times === 0) return 0;
  return Math.min(FIRST_PAUSE_IN_A_ROW_MS * 2 ** (times - 1), LONGEST_PAUSE_MS);
}
