import type { Progress } from "../images/image-store.ts";
import { errorBody } from "./error-reply.ts";
import { stream } from "./reply.ts";
import type { Sink, StreamReply } from "./reply.ts";

export interface ProgressLines {
  report(line: object): void;
}

/**
 * An answer of JSON lines. An error before the first line is a plain error answer; after it, it is a line, as clients
 * of docker look for it.
 */
export function progressStream(work: (progress: ProgressLines) => Promise<void>): StreamReply {
  return stream("application/json", async (sink) => {
    // Reports come from work that does not wait for the client; lines are written one after the other.
    let written: Promise<void> = Promise.resolve();
    const report = (line: object): void => {
      written = written.then(() => sink.write(`${JSON.stringify(line)}\r\n`));
    };
    try {
      await work({ report });
      await written;
    } catch (error) {
      await written;
      if (!sink.started) throw error;
      await writeError(sink, error);
    }
  });
}

function writeError(sink: Sink, error: unknown): Promise<void> {
  // Docker's clients take `code` here for a number.
  const { code: _code, ...body } = errorBody(error);
  return sink.write(`${JSON.stringify({ errorDetail: body, error: body.message })}\r\n`);
}

/** A line of progress as docker's clients read it. */
export function formatProgress({ id, status, currentBytes, totalBytes }: Progress): object {
  const detail = {
    ...(currentBytes === undefined ? {} : { current: currentBytes }),
    ...(totalBytes === undefined ? {} : { total: totalBytes }),
  };
  return { status, progressDetail: detail, ...(id === undefined ? {} : { id }) };
}
