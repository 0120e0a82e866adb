/**
 * Makes a log as the supervisor writes it, and measures how fast it is read: `scripts/bun bench/log-file.ts [MEGABYTES]`.
 * The size is that of the lines; with their prefixes the file is larger.
 */
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stampOf } from "../src/logs/log-record.ts";
import { type CopyRequest, copyLog, readLog } from "../src/logs/index.ts";

const FIRST_LINE_NANO = 1_795_000_000_000_000_000n;
const LINE_EVERY_NANO = 1000n;

/** Writes `lineCount` lines of `lineBytes` (the newline included), one a microsecond. Returns the file's size. */
export function writeLogFile(directory: string, lineCount: number, lineBytes: number): number {
  const file = openSync(join(directory, "log"), "w");
  const text = "x".repeat(lineBytes - 11);
  for (let line = 0; line < lineCount; ) {
    let chunk = "";
    for (const end = Math.min(line + 10_000, lineCount); line < end; line++) {
      const stamp = stampOf(FIRST_LINE_NANO + BigInt(line) * LINE_EVERY_NANO);
      chunk += `${stamp} stdout F ${String(line).padStart(9)} ${text}\n`;
    }
    writeSync(file, chunk);
  }
  closeSync(file);
  return statSync(join(directory, "log")).size;
}

const everything: CopyRequest = {
  stdout: true,
  stderr: true,
  sinceNano: 0n,
  untilNano: 0n,
  tail: null,
  follow: false,
  format: "multiplexed",
  timestamps: false,
  framePerLine: true,
};

async function measure(
  name: string,
  fileBytes: number,
  work: () => Promise<number>,
): Promise<void> {
  const start = performance.now();
  const result = await work();
  const milliseconds = performance.now() - start;
  const rate = `${(fileBytes / 1000 / milliseconds).toFixed(0)} MB/s of file`;
  const note = milliseconds > 200 ? rate : "";
  console.log(`${name.padEnd(34)} ${milliseconds.toFixed(1).padStart(9)} ms  ${result}  ${note}`);
}

async function main(megabytes: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "tiffin-bench."));
  try {
    const lineBytes = 64;
    const lineCount = Math.floor((megabytes * 1_000_000) / lineBytes);
    const size = writeLogFile(directory, lineCount, lineBytes);
    console.log(`${lineCount} lines of ${lineBytes} bytes, file of ${(size / 1e6).toFixed(0)} MB`);
    const copied = async (request: Partial<CopyRequest>): Promise<number> => {
      let bytes = 0;
      const chunks = copyLog(directory, { ...everything, ...request });
      for await (const chunk of chunks) bytes += chunk.length;
      return bytes;
    };
    const middle = FIRST_LINE_NANO + BigInt(lineCount - 1000) * LINE_EVERY_NANO;
    await measure("frames, one a line", size, () => copied({}));
    await measure("frames of many lines", size, () => copied({ framePerLine: false }));
    await measure("frames with times", size, () => copied({ timestamps: true }));
    await measure("raw", size, () => copied({ format: "raw" }));
    await measure("readLog", size, async () => {
      let lines = 0;
      for await (const batch of readLog(directory, everything)) lines += batch.length;
      return lines;
    });
    await measure("--tail 10", size, () => copied({ tail: 10 }));
    await measure("--tail 100000", size, () => copied({ tail: 100_000 }));
    await measure("--since, the last 1000 lines", size, () => copied({ sinceNano: middle }));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

if (import.meta.main) await main(Number(process.argv[2] ?? 500));
