/** The thread that unpacks layers, one after the other: hashing, decompressing and writing would keep the engine from answering. */
import { parentPort } from "node:worker_threads";
import { TiffinError } from "../base/error.ts";
import { mkdirat, unlinkat } from "../kernel/files.ts";
import { AT } from "../kernel/flags.ts";
import { sourceBytes } from "./archive-source.ts";
import { removeTreeSync } from "./remove-tree.ts";
import { UnpackControl } from "./unpack-control.ts";
import { type FromWorker, plainError, type ToWorker } from "./unpack-message.ts";
import { type UnpackedContent, unpackStream } from "./unpack-stream.ts";

const port = parentPort;
if (port === null) throw new TiffinError("internal", "unpack-worker.ts runs as a worker only");

function post(message: FromWorker): void {
  port?.postMessage(message);
}

function* told(source: Iterable<Uint8Array>): Generator<Uint8Array, void> {
  for (const chunk of source) {
    yield chunk;
    post({ kind: "taken", bytes: chunk.length });
  }
}

function unpack({ task, source }: ToWorker, control: UnpackControl): UnpackedContent {
  const canRepeat = source.kind !== "ring";
  const goesAhead = canRepeat || task.lowerDirectories.length === 0;
  const content = unpackStream(told(sourceBytes(source, control)), task, control, goesAhead);
  if (content !== null) return content;
  removeTreeSync(AT.FDCWD, task.directory);
  mkdirat(AT.FDCWD, task.directory, 0o755);
  if (task.recipe !== null) unlinkat(AT.FDCWD, task.recipe);
  const again = unpackStream(sourceBytes(source, control), task, control, false);
  if (again === null) throw new TiffinError("internal", "Cannot unpack layer: it went ahead");
  return again;
}

port.on("message", (message: ToWorker) => {
  const control = new UnpackControl(message.control);
  try {
    post({ kind: "done", content: unpack(message, control) });
  } catch (error) {
    post({ kind: "failed", error: plainError(error) });
  }
});
