import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CopyRequest, copyLog } from "./copy-log.ts";

const stamp = "2026-11-24T06:12:16.123456789Z";
const plain: CopyRequest = {
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

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tiffin-logs."));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

function write(...records: [stream: string, tag: string, text: string][]): void {
  const log = records.map(([stream, tag, text]) => `${stamp} ${stream} ${tag} ${text}\n`).join("");
  writeFileSync(join(directory, "log"), log);
}

async function copy(request: Partial<CopyRequest>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of copyLog(directory, { ...plain, ...request })) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The frames of docker's multiplexed stream, as `1:text`. */
async function frames(request: Partial<CopyRequest>): Promise<string[]> {
  const bytes = await copy(request);
  const found: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    expect([...bytes.subarray(at + 1, at + 4)]).toEqual([0, 0, 0]);
    const end = at + 8 + bytes.readUInt32BE(at + 4);
    found.push(`${bytes[at]}:${bytes.subarray(at + 8, end).toString()}`);
    at = end;
  }
  return found;
}

test("a frame holds one line, with its newline unless it is a part", async () => {
  write(["stdout", "F", "a"], ["stderr", "F", ""], ["stdout", "P", "b"]);
  expect(await frames({})).toEqual(["1:a\n", "2:\n", "1:b"]);
});

test("neighbouring lines of a stream may share a frame", async () => {
  write(["stdout", "F", "a"], ["stdout", "F", "b"], ["stderr", "F", "c"], ["stdout", "F", "d"]);
  expect(await frames({ framePerLine: false })).toEqual(["1:a\nb\n", "2:c\n", "1:d\n"]);
  expect(await frames({ framePerLine: false, stderr: false })).toEqual(["1:a\nb\nd\n"]);
});

test("times stand before lines, not before the further parts of a line", async () => {
  write(["stdout", "P", "a"], ["stderr", "F", "x"], ["stdout", "F", "b"], ["stdout", "F", "c"]);
  expect(await frames({ timestamps: true })).toEqual([
    `1:${stamp} a`,
    `2:${stamp} x\n`,
    "1:b\n",
    `1:${stamp} c\n`,
  ]);
});

test("a prefix stands before lines too, behind their time", async () => {
  write(["stdout", "P", "a"], ["stdout", "F", "b"], ["stderr", "F", ""]);
  const linePrefix = Buffer.from("k=v ");
  expect(await frames({ linePrefix })).toEqual(["1:k=v a", "1:b\n", "2:k=v \n"]);
  expect(await frames({ linePrefix, timestamps: true, stdout: false })).toEqual([
    `2:${stamp} k=v \n`,
  ]);
});

test("the raw form is the text alone", async () => {
  write(["stdout", "F", "a\r"], ["stdout", "P", "$ "]);
  expect((await copy({ format: "raw" })).toString()).toBe("a\r\n$ ");
  expect((await copy({ format: "raw", tail: 1 })).toString()).toBe("$ ");
});

test("many lines with every byte come out as they are", async () => {
  const text = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte).filter((b) => b !== 10));
  const record = Buffer.concat([Buffer.from(`${stamp} stdout F `), text, Buffer.from("\n")]);
  const count = 10_000;
  writeFileSync(join(directory, "log"), Buffer.concat(Array<Buffer>(count).fill(record)));
  const out = await copy({ format: "raw" });
  const line = Buffer.concat([text, Buffer.from("\n")]);
  expect(out.equals(Buffer.concat(Array<Buffer>(count).fill(line)))).toBe(true);
  expect(await frames({})).toHaveLength(count);
});
