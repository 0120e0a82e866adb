/** A command line as its caller has it. */
export interface CommandLine {
  /** Without the program's own name. */
  readonly words: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly directory: string;
}

/** Who called a command, and waits for its output and its end. */
export interface CommandCaller {
  out(data: Uint8Array | string): Promise<void>;
  error(data: Uint8Array | string): Promise<void>;
  /** From the call on, the caller passes signals on instead of dying of them. */
  onSignal(handle: (signal: string) => void): void;
  /** The caller's own exit status should the connection break. */
  statusIfLost(status: number): void;
  /** Ends the caller at once with this status. */
  end(status: number): void;
  /** Aborted when the caller has gone. */
  readonly gone: AbortSignal;
}

/** Resolves to the exit status, or to undefined when the caller has to run the command itself: nothing was done then. */
export type RunCommandLine = (
  line: CommandLine,
  caller: CommandCaller,
) => Promise<number | undefined>;
