import { compressRotated } from "./compress-rotated.ts";

export interface LogCompressorOptions {
  /** Log directories whose rotated files are to be compressed; asked for before each round. */
  readonly directories: () => Iterable<string>;
  /** Told of a directory that could not be done; it is tried again in the next round. */
  readonly onError: (directory: string, error: unknown) => void;
  readonly intervalMs?: number;
}

export interface LogCompressor {
  /** Compresses what is rotated now; resolves when it is done. A call during a round waits for that round. */
  runNow(): Promise<void>;
  /** No further rounds; resolves when the one under way is over. */
  close(): Promise<void>;
}

const DEFAULT_INTERVAL_MS = 30_000;

/**
 * Compresses rotated logs in rounds, one file at a time: rotation is the supervisor's work and needs no answer, so a look
 * now and then is enough, and it costs less than watching directories that are written to all the time.
 */
export function startLogCompressor(options: LogCompressorOptions): LogCompressor {
  let underWay: Promise<void> | undefined;
  let isClosed = false;
  const round = async (): Promise<void> => {
    for (const directory of options.directories()) {
      if (isClosed) return;
      try {
        await compressRotated(directory);
      } catch (error) {
        options.onError(directory, error);
      }
    }
  };
  const runNow = (): Promise<void> => {
    underWay ??= round().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
  const timer = setInterval(() => void runNow(), options.intervalMs ?? DEFAULT_INTERVAL_MS);
  timer.unref();
  return {
    runNow,
    close: async () => {
      isClosed = true;
      clearInterval(timer);
      await underWay;
    },
  };
}
