/** What of a log is wanted. */
export interface LogRequest {
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Nanoseconds since the epoch; 0n: from the start. */
  readonly sinceNano: bigint;
  /** 0n: to the end. A record of exactly this time is still read. */
  readonly untilNano: bigint;
  /** Last lines; null: all. Lines are counted before since and until are looked at, as docker does. */
  readonly tail: number | null;
  /** Go on with what is written from now on. */
  readonly follow: boolean;
}

/** When to stop early, and when a log that is followed is over. */
export interface LogControl {
  /** Ends the reading at once, without an error. */
  readonly signal?: AbortSignal | undefined;
  /** Resolves when nothing more will be written: what is there is still read, then the reading ends. */
  readonly ended?: Promise<unknown> | undefined;
}
