import type { ApiClient } from "../api/client.ts";
import type { Flag } from "./flag.ts";
import type { Arguments } from "./grammar.ts";

/** What main.ts gives the command line: the world around it, so that tests can give another one. */
export interface World {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly output: Output;
  /** The command that runs this program again: `["/usr/bin/tiffin"]`, `["bun", "src/main.ts"]`. */
  readonly self: readonly string[];
  readonly version: string;
  /** ioctl(2) on a descriptor: 0 and up, or a negative errno. Undefined where the addon is missing. */
  readonly ioctl: () => Promise<SystemCall | undefined>;
  /** flock(2). */
  readonly flock: () => Promise<((fd: number, operation: number) => number) | undefined>;
  /** Calls back at each signal that the caller sends to this command: `SIGINT`. From then on they do not end it. */
  onSignal(handle: (signal: string) => void): void;
  /** Inside of the engine: gives the command back to its caller, who starts it anew outside. Only while it has done nothing yet. */
  readonly leaveToCaller?: () => never;
  /** Ends the command at once, whatever is under way. */
  exit(status: number): void;
  /** Runs an engine in this process until it is told to end; resolves to the exit status. */
  readonly runEngine: (
    places: { readonly root: string; readonly run: string; readonly socket: string },
    settings: WrittenSettings,
  ) => Promise<number>;
}

/** An engine's settings as they were written; what was not is the engine's to choose. */
export interface WrittenSettings {
  readonly firewall?: string;
  readonly ready?: string;
}

export type SystemCall = (fd: number, request: number, argument: Uint8Array) => number;

/** Standard output and error. Writing blocks until the reader has taken it: a command line has nothing else to do. */
export interface Output {
  out(data: string | Uint8Array): Promise<void>;
  error(data: string | Uint8Array): Promise<void>;
  /** Asked for when it matters: what tells is not light to load. */
  outIsTerminal(): Promise<boolean>;
  inIsTerminal(): Promise<boolean>;
}

/** Where the user wants the engine's things to be (flags before environment before defaults). */
export interface ChosenPlaces {
  readonly root: string;
  readonly run: string;
  /** Name of the context that counts: `default` where a host is named, or nothing is. */
  readonly context: string;
  /** What `default` stands for: `unix:///run/tiffin/tiffin.sock` or `tcp://HOST:PORT`. */
  readonly defaultHost: string;
  /** That of the context. Asking throws where there is none of that name, or it cannot be used. */
  readonly host: string;
  readonly debug: boolean;
  readonly logLevel: string;
}

/** What a command's `run` gets. */
export interface Context {
  readonly arguments: Arguments;
  /** The name the command was called by: `images`, `image ls`. */
  readonly calledAs: string;
  readonly api: ApiClient;
  readonly world: World;
  readonly places: ChosenPlaces;
  /** Prints a line to standard output. */
  print(line: string): Promise<void>;
  /** Prints a line to standard error. */
  warn(line: string): Promise<void>;
}

/** How many operands: what docker's words for the mistake depend on. */
export type OperandCount =
  | { readonly exactly: number }
  | { readonly atLeast: number }
  | { readonly atMost: number }
  | { readonly between: readonly [least: number, most: number] };

/** One command, described once: the grammar, the help text and completion all come from it. */
export interface Command {
  /** After the command's name: `[OPTIONS] CONTAINER [CONTAINER...]`. */
  readonly usage: string;
  /** One line, without a period. */
  readonly summary: string;
  /** Lines of shell: a comment that says what for, then the command. */
  readonly examples?: string;
  /** When it is not just 0, and 1 for a failure: what each status means. */
  readonly exitStatus?: Readonly<Record<string, string>>;
  readonly flags: readonly Flag[];
  readonly operands: OperandCount;
  /** False: the first operand ends the flags. Default true. */
  readonly interspersed?: boolean;
  /**
   * True: the command may also run inside of the engine, for a caller who waits outside (run-in-engine.ts). Then it reads no
   * input, drives no terminal and touches no file. Flags whose values are the caller's own say so (`local`).
   */
  readonly inEngine?: (given: Arguments) => boolean;
  /** Resolves to the exit status. */
  run(context: Context): Promise<number>;
}
