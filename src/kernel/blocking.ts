import { Worker } from "node:worker_threads";
import { TiffinError } from "../base/error.ts";

/** In the release executable a worker is found by its embedded name (scripts/build.ts). */
function workerPath(): string | URL {
  const embedded = "/$bunfs/";
  return Bun.main.startsWith(embedded)
    ? `${embedded}root/kernel/blocking-worker.js`
    : new URL("./blocking-worker.ts", import.meta.url);
}

/**
 * A system call on a thread of its own, for one that may block for seconds (a mount over the network, writing a file system
 * to disk): its result, or the negative errno. A thread costs some 30 ms: not for calls that return at once.
 */
export async function syscallOnThread(
  call: string,
  ...args: (string | number | null)[]
): Promise<number> {
  const worker = new Worker(workerPath(), { workerData: [call, ...args] });
  try {
    return await new Promise<number>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
      worker.once("exit", () =>
        reject(new TiffinError("internal", `The thread of ${call} ended without a result`)),
      );
    });
  } finally {
    void worker.terminate();
  }
}
