import type { Operand, Supervise } from "../base/operation.ts";

type Descriptor = Extract<Operand, { register: string }> | -1;

/** What a supervisor holds; -1: it has no such thing. */
export interface SupervisorHoldings {
  readonly pid: Descriptor;
  readonly pidfd: Descriptor;
  /** The listening unix socket for clients. */
  readonly listener: Descriptor;
  /** Where the exit record is kept. */
  readonly directory: Descriptor;
  readonly logDirectory: Descriptor;
  /** An open memory.oom_control (v1) or memory.events (v2). */
  readonly memoryEvents: Descriptor;
  readonly stdin: Descriptor;
  readonly stdout: Descriptor;
  readonly stderr: Descriptor;
  /** The master side of the container's terminal; then the three above are -1. */
  readonly terminal: Descriptor;
  /** docker's StdinOnce: the input ends when the client that gave it goes. */
  readonly closeStdinWithClient: boolean;
  /** Bits of the streams that the engine's connection gets from the start (frames.ts, streamBits). */
  readonly engineStreams: number;
  readonly log: {
    /** Rotate at this size; 0: never. */
    readonly maxBytes: number;
    /** Rotated files that stay. */
    readonly keep: number;
    /** Number of the next rotated file. */
    readonly next: number;
  };
}

/** The last step of a supervisor's side (struct supervise in native/launch.h). */
export function superviseStep(holdings: SupervisorHoldings): Supervise {
  return {
    control: "supervise",
    reason: "watch over the process",
    config: {
      struct: [
        [4, holdings.pid],
        [4, holdings.pidfd],
        [4, holdings.listener],
        [4, holdings.directory],
        [4, holdings.logDirectory],
        [4, holdings.memoryEvents],
        [4, holdings.stdin],
        [4, holdings.stdout],
        [4, holdings.stderr],
        [4, holdings.terminal],
        [4, holdings.closeStdinWithClient ? 1 : 0],
        [4, holdings.engineStreams],
        [4, holdings.log.keep],
        [4, holdings.log.next],
        [8, holdings.log.maxBytes],
      ],
    },
  };
}
