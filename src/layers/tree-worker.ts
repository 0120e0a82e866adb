/** The thread that works on containers' files: walking and unpacking trees would keep the engine from answering. */
import { parentPort } from "node:worker_threads";
import { TiffinError } from "../base/error.ts";
import { closeDescriptor, openat2, statusOf } from "../kernel/files.ts";
import { AT, O } from "../kernel/flags.ts";
import type { FromTreeWorker, ToTreeWorker, TreeResult, TreeTask } from "./tree-task.ts";
import { doTreeTask, type TreeLine } from "./tree-work.ts";
import { plainError } from "./unpack-message.ts";

const port = parentPort;
if (port === null) throw new TiffinError("internal", "tree-worker.ts runs as a worker only");

/** Bytes of results on their way before this thread waits. */
const WINDOW_BYTES = 2 * 1024 * 1024;
const homeNamespace = mountNamespace();

function post(message: FromTreeWorker, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer);
}

/** One task's traffic. */
class Line implements TreeLine {
  private readonly cancelled: Int32Array;
  private readonly chunks: Uint8Array[] = [];
  private ended = false;
  private unused = 0;
  private wake: (() => void) | null = null;

  constructor(cancelled: Int32Array) {
    this.cancelled = cancelled;
  }

  take(message: ToTreeWorker): void {
    if (message.kind === "chunk") this.chunks.push(message.data);
    else if (message.kind === "end") this.ended = true;
    else if (message.kind === "used") this.unused -= message.bytes;
    this.wake?.();
    this.wake = null;
  }

  checkpoint(): void {
    if (Atomics.load(this.cancelled, 0) !== 0) {
      throw new TiffinError("unavailable", "Cannot go on: the work was cancelled");
    }
  }

  async send(result: TreeResult): Promise<void> {
    if (result.kind === "chunk") {
      this.unused += result.data.length;
      post(result, [result.data.buffer as ArrayBuffer]);
    } else post(result);
    while (this.unused > WINDOW_BYTES) await this.somethingNew();
  }

  get input(): AsyncIterable<Uint8Array> {
    return this.received();
  }

  private async *received(): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      this.checkpoint();
      const chunk = this.chunks.shift();
      if (chunk !== undefined) {
        yield chunk;
        post({ kind: "taken", bytes: chunk.length });
      } else if (this.ended) return;
      else await this.somethingNew();
    }
  }

  private async somethingNew(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.wake = resolve;
    });
    this.checkpoint();
  }
}

let line: Line | null = null;

async function run(task: TreeTask, cancelled: Int32Array): Promise<void> {
  line = new Line(cancelled);
  try {
    await doTreeTask(task, line);
    post({ kind: "done", reusable: isAtHome() });
  } catch (error) {
    const doing = task.kind === "write" ? "copy into the container" : "read the container's files";
    post({ kind: "failed", error: plainError(error, doing), reusable: isAtHome() });
  }
}

/** A thread that could not go back is given up, and its mounts with it. */
function isAtHome(): boolean {
  return mountNamespace() === homeNamespace;
}

function mountNamespace(): bigint {
  const descriptor = openat2(AT.FDCWD, "/proc/thread-self/ns/mnt", { flags: O.RDONLY });
  try {
    return statusOf(descriptor).inode;
  } finally {
    closeDescriptor(descriptor);
  }
}

port.on("message", (message: ToTreeWorker) => {
  if (message.kind === "start") void run(message.task, message.cancelled);
  else line?.take(message);
});
