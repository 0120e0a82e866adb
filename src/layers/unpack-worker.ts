/** The thread that unpacks one layer: hashing, decompressing and writing would keep the engine from answering. */
import { parentPort } from "node:worker_threads";
import { TiffinError } from "../base/error.ts";
import { readArchiveFile } from "./archive-file.ts";
import {
  CANCELLED,
  CONTROL_WORDS,
  type FromWorker,
  LOWER_READY,
  plainError,
  type ToWorker,
} from "./unpack-message.ts";
import { unpackStream } from "./unpack-stream.ts";

const port = parentPort;
if (port === null) throw new TiffinError("internal", "unpack-worker.ts runs as a worker only");

/** How late a worker that waits for other layers sees that its work was called off. */
const LOWER_POLL_MS = 100;

function post(message: FromWorker): void {
  port?.postMessage(message);
}

const chunks: Uint8Array[] = [];
let ended = false;
let wake: (() => void) | null = null;
let control: Int32Array = new Int32Array(CONTROL_WORDS);

function checkpoint(): void {
  if (Atomics.load(control, CANCELLED) !== 0) {
    throw new TiffinError("unavailable", "Cannot unpack layer: it was cancelled");
  }
}

function waitForLower(): void {
  while (Atomics.load(control, LOWER_READY) === 0) {
    checkpoint();
    Atomics.wait(control, LOWER_READY, 0, LOWER_POLL_MS);
  }
}

async function* received(): AsyncGenerator<Uint8Array, void> {
  for (;;) {
    checkpoint();
    const chunk = chunks.shift();
    if (chunk !== undefined) {
      yield chunk;
      post({ kind: "taken", bytes: chunk.length });
    } else if (ended) return;
    else {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
}

async function* fromFile(path: string): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of readArchiveFile(path)) {
    checkpoint();
    yield chunk;
    post({ kind: "taken", bytes: chunk.length });
  }
}

async function start(message: ToWorker & { kind: "start" }): Promise<void> {
  ({ control } = message);
  const source = message.file === null ? received() : fromFile(message.file);
  try {
    const content = await unpackStream(source, message.task, { checkpoint, waitForLower });
    post({ kind: "done", content });
  } catch (error) {
    post({ kind: "failed", error: plainError(error) });
  }
}

port.on("message", (message: ToWorker) => {
  if (message.kind === "start") void start(message);
  else if (message.kind === "chunk") chunks.push(message.data);
  else if (message.kind === "end") ended = true;
  wake?.();
  wake = null;
});
