/** The thread that unpacks layers, one after the other: hashing, decompressing and writing would keep the engine from answering. */
import { parentPort } from "node:worker_threads";
import { TiffinError } from "../base/error.ts";
import { UnpackControl } from "./unpack-control.ts";
import { type FromWorker, plainError, type ToWorker } from "./unpack-message.ts";
import { sourceBytes } from "./archive-source.ts";
import { unpackStream } from "./unpack-stream.ts";

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

port.on("message", ({ task, source, control: shared }: ToWorker) => {
  const control = new UnpackControl(shared);
  try {
    const content = unpackStream(told(sourceBytes(source, control)), task, control);
    post({ kind: "done", content });
  } catch (error) {
    post({ kind: "failed", error: plainError(error) });
  }
});
