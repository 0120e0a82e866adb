/**
 * Container logs. The supervisor (native/supervise.c) writes them as lines of text in the CRI format and rotates them; this
 * room reads them while they are written, finds a time by binary search and the last lines from the end, and compresses
 * what was rotated.
 *
 *     for await (const lines of readLog(directory, { stdout: true, stderr: true, sinceNano: 0n, untilNano: 0n, tail: 10, follow: false }))
 *       for (const { stream, timestamp, data } of lines) …
 *
 * Format: https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md
 */
export { compressRotated } from "./compress-rotated.ts";
export { type CopyRequest, copyLog } from "./copy-log.ts";
export { type LogCompressor, startLogCompressor } from "./log-compressor.ts";
export { logSizeBytes, nextLogNumber } from "./log-files.ts";
export { type LogOptions, NO_LOG, parseLogOptions, validateLogOptions } from "./log-options.ts";
export type { LogControl, LogRequest } from "./log-request.ts";
export { type LogLine, readLog } from "./read-log.ts";
