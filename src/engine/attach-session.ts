import { DetachWatcher, parseDetachKeys } from "./detach-keys.ts";
import type { AttachRequest, AttachSession, OutputChunk, OutputStream } from "./types.ts";

/** Output that a session holds for a taker before it asks the supervisor to wait. */
const HIGH_WATER_BYTES = 256 * 1024;

/** Where a session's input goes; undefined until the process runs. */
export interface InputSink {
  write(data: Uint8Array): Promise<void>;
  close(): void;
}

/** One client's connection to the streams of a container or exec. */
export class Session implements AttachSession {
  readonly request: AttachRequest;
  private readonly queue: OutputChunk[] = [];
  private queuedBytes = 0;
  private ended = false;
  private failure: unknown;
  private wake: () => void = () => undefined;
  private drained = Promise.withResolvers<void>();
  private readonly input = Promise.withResolvers<InputSink | undefined>();
  private readonly watcher: DetachWatcher | undefined;
  private readonly onClose: (session: Session) => void;

  constructor(request: AttachRequest, tty: boolean, onClose: (session: Session) => void) {
    this.request = request;
    this.onClose = onClose;
    this.watcher = tty ? new DetachWatcher(parseDetachKeys(request.detachKeys)) : undefined;
  }

  readonly output: AsyncIterable<OutputChunk> = {
    [Symbol.asyncIterator]: () => ({
      next: () => this.next(),
      return: async () => {
        this.close();
        return { done: true, value: undefined };
      },
    }),
  };

  wants(stream: OutputStream): boolean {
    return stream === "stdout" ? this.request.stdout : this.request.stderr;
  }

  /** A promise asks to wait: the taker is slow. */
  deliver(stream: OutputStream, data: Uint8Array): Promise<void> | undefined {
    if (this.ended || !this.wants(stream)) return undefined;
    this.queue.push({ stream, data });
    this.queuedBytes += data.length;
    this.wake();
    return this.queuedBytes > HIGH_WATER_BYTES ? this.drained.promise : undefined;
  }

  /** The process runs: input flows. */
  begin(sink: InputSink | undefined): void {
    this.input.resolve(sink);
  }

  /** No more output comes; what is queued is still delivered. */
  end(failure?: unknown): void {
    if (this.ended) return;
    this.ended = true;
    this.failure = failure;
    this.input.resolve(undefined);
    this.wake();
    this.drained.resolve();
  }

  async write(data: Uint8Array): Promise<void> {
    const sink = await this.input.promise;
    const { pass, detached } = this.watcher?.take(data) ?? { pass: data, detached: false };
    if (pass.length > 0) await sink?.write(pass);
    if (detached) this.close();
  }

  closeStdin(): void {
    void this.input.promise.then((sink) => sink?.close());
  }

  close(): void {
    this.queue.length = 0;
    this.end();
    this.onClose(this);
  }

  private async next(): Promise<IteratorResult<OutputChunk>> {
    for (;;) {
      const chunk = this.queue.shift();
      if (chunk) {
        this.queuedBytes -= chunk.data.length;
        if (this.queuedBytes <= HIGH_WATER_BYTES / 2) {
          this.drained.resolve();
          this.drained = Promise.withResolvers();
        }
        return { done: false, value: chunk };
      }
      if (this.failure !== undefined) throw this.failure;
      if (this.ended) return { done: true, value: undefined };
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }
}
