import { createReadStream } from "node:fs";

/** What is read from a descriptor that tells of things now and then (eventfd(2), inotify(7), netlink(7)), until it is stopped. */
export interface Notices {
  /** Ends the reading; the descriptor is closed. */
  stop(): void;
}

/**
 * Calls back at each notice, or several, with what was read. Bun waits for such a descriptor in its event loop, at no cost meanwhile; Node with a thread. The
 * descriptor must be non-blocking, and is the reader's from now on.
 */
export function onNotice(descriptor: number, callback: (bytes: Uint8Array) => void): Notices {
  if (typeof Bun === "undefined") {
    const stream = createReadStream("", { fd: descriptor });
    stream.on("data", (chunk) => callback(Buffer.from(chunk))).on("error", () => undefined);
    return { stop: () => void stream.destroy() };
  }
  const reader = Bun.file(descriptor).stream().getReader();
  const stop = (): void => void reader.cancel().catch(() => undefined);
  const read = async (): Promise<void> => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      callback(value);
    }
  };
  // One that is stopped, or cannot be read any more, tells no more.
  read().catch(stop);
  return { stop };
}
