import { constants } from "node:os";
import { basename } from "node:path";
import type { CommandCaller, CommandLine, RunCommandLine } from "../base/command-line.ts";
import { invalidArgument, TiffinError } from "../base/error.ts";
import type { HijackedConnection, HijackReply } from "./reply.ts";
import { parameter, type ApiRequest } from "./request.ts";
import type { Route } from "./router.ts";

/** What the two sides of the protocol say: native/front.c has the same numbers. */
const SAYS_COMMAND = 1;
const SAYS_SIGNAL = 2;
const OUT = 1;
const ERROR = 2;
const STATUS = 3;
const ELSEWHERE = 4;
const IF_LOST = 5;
const PASS_SIGNALS = 6;

const HEAD_BYTES = 8;
/** execve(2) bounds arguments and environment by 2 MiB on a usual stack. */
const MAXIMUM_BYTES = 4 << 20;

/**
 * `POST /tiffin/command/BUILD`: runs a command line inside of the engine for a caller too small to do it itself
 * (native/front.c). Only for the very build that this engine is of: its commands are that build's.
 */
export function commandRoute(build: string, run: RunCommandLine): Route {
  return {
    method: "POST",
    path: "/tiffin/command/{build}",
    handler: (request: ApiRequest): HijackReply => {
      if (parameter(request, "build") !== build) {
        throw new TiffinError("not-found", "This engine is of another build");
      }
      return {
        kind: "hijack",
        contentType: "application/vnd.tiffin.command",
        run: (connection) => serveCaller(connection, run),
        abandon: () => undefined,
      };
    },
  };
}

async function serveCaller(connection: HijackedConnection, run: RunCommandLine): Promise<void> {
  const gone = new AbortController();
  const finished = Promise.withResolvers<void>();
  const handlers: SignalHandler[] = [];
  const reader = new FrameReader();
  let isRunning = false;
  const take = async (chunk: Uint8Array): Promise<void> => {
    for (const frame of reader.read(chunk)) {
      if (frame.kind === SAYS_SIGNAL) handlers.forEach((handle) => handle(signalName(frame.value)));
      if (frame.kind !== SAYS_COMMAND || isRunning) continue;
      isRunning = true;
      const caller = callerOn(connection, handlers, gone.signal);
      answer(connection, run(commandLine(frame.payload), caller)).then(
        finished.resolve,
        finished.reject,
      );
    }
  };
  const leave = (): void => {
    gone.abort();
    if (!isRunning) finished.resolve();
  };
  connection.readInto(take).then(leave, finished.reject);
  await finished.promise;
}

type SignalHandler = (signal: string) => void;

async function answer(
  connection: HijackedConnection,
  running: Promise<number | undefined>,
): Promise<void> {
  const status = await running;
  await connection.write(status === undefined ? head(ELSEWHERE, 0) : head(STATUS, status));
}

function callerOn(
  connection: HijackedConnection,
  handlers: SignalHandler[],
  gone: AbortSignal,
): CommandCaller {
  const send = (kind: number, data: Uint8Array | string): Promise<void> => {
    const bytes = Buffer.from(data);
    return connection.write(Buffer.concat([head(kind, bytes.length), bytes]));
  };
  return {
    out: (data) => send(OUT, data),
    error: (data) => send(ERROR, data),
    onSignal: (handle) => {
      handlers.push(handle);
      void connection.write(head(PASS_SIGNALS, 0));
    },
    statusIfLost: (status) => void connection.write(head(IF_LOST, status)),
    end: (status) => void connection.write(head(STATUS, status)),
    gone,
  };
}

function head(kind: number, value: number): Buffer {
  const bytes = Buffer.alloc(HEAD_BYTES);
  bytes.writeUInt32LE(kind, 0);
  bytes.writeUInt32LE(value, 4);
  return bytes;
}

interface CallerFrame {
  readonly kind: number;
  /** A signal's number. */
  readonly value: number;
  readonly payload: Buffer;
}

/** Takes the caller's bytes apart. */
class FrameReader {
  #pending: Buffer = Buffer.alloc(0);

  /** @throws invalid-argument on a frame that is none, or too large */
  *read(chunk: Uint8Array): Generator<CallerFrame> {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    while (this.#pending.length >= HEAD_BYTES) {
      const kind = this.#pending.readUInt32LE(0);
      const value = this.#pending.readUInt32LE(4);
      const size = kind === SAYS_COMMAND ? value : 0;
      if ((kind !== SAYS_COMMAND && kind !== SAYS_SIGNAL) || size > MAXIMUM_BYTES) {
        throw invalidArgument("A caller's frame is a command line of at most 4 MiB, or a signal");
      }
      const end = HEAD_BYTES + size;
      if (this.#pending.length < end) return;
      yield { kind, value, payload: this.#pending.subarray(HEAD_BYTES, end) };
      this.#pending = this.#pending.subarray(end);
    }
  }
}

/** A count of words, then NUL-terminated strings: the directory, the words (the program's name first), the environment. */
function commandLine(payload: Buffer): CommandLine {
  const count = payload.length < 4 ? 0 : payload.readUInt32LE(0);
  const strings = payload.subarray(4).toString("utf8").split("\0");
  const [directory = "", ...rest] = strings;
  if (count === 0 || rest.length <= count) {
    throw invalidArgument("A caller's command line ends before its last word");
  }
  const environment = rest.slice(count, -1).map((pair): [string, string] => {
    const equals = pair.indexOf("=");
    return equals < 0 ? [pair, ""] : [pair.slice(0, equals), pair.slice(equals + 1)];
  });
  return {
    words: [...(isRuntime(rest[0] ?? "") ? ["oci"] : []), ...rest.slice(1, count)],
    environment: Object.fromEntries(environment),
    directory,
  };
}

/** A link of this name is the OCI runtime, whose words are others (src/main.ts). */
function isRuntime(program: string): boolean {
  return basename(program) === "tiffin-oci";
}

function signalName(number: number): string {
  return Object.entries(constants.signals).find(([, value]) => value === number)?.[0] ?? "";
}
