import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { compressRotated } from "./compress-rotated.ts";
import { logSizeBytes, nextLogNumber } from "./log-files.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tiffin-logs."));
});
afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

test("rotated files are compressed, the current one is not", async () => {
  const text = "2026-11-24T06:12:16.123456789Z stdout F text\n".repeat(1000);
  for (const name of ["log", "log.7", "log.8"]) writeFileSync(join(directory, name), text);
  expect(await compressRotated(directory)).toEqual([7, 8]);
  expect(readdirSync(directory).toSorted()).toEqual(["log", "log.7.gz", "log.8.gz"]);
  expect(gunzipSync(readFileSync(join(directory, "log.7.gz"))).toString()).toBe(text);
  expect(await compressRotated(directory)).toEqual([]);
});

test("what a crash left half-made is made anew", async () => {
  writeFileSync(join(directory, "log.3"), "text\n");
  writeFileSync(join(directory, "log.3.gz.tmp"), "half");
  writeFileSync(join(directory, "log.1.gz.tmp"), "of a file that was dropped");
  expect(await compressRotated(directory)).toEqual([3]);
  expect(readdirSync(directory)).toEqual(["log.3.gz"]);
});

test("a directory that is gone has nothing to compress", async () => {
  expect(await compressRotated(join(directory, "missing"))).toEqual([]);
});

test("the next number follows the greatest, in whichever form", async () => {
  expect(await nextLogNumber(directory)).toBe(1);
  writeFileSync(join(directory, "log.9"), "");
  expect(await nextLogNumber(directory)).toBe(10);
  writeFileSync(join(directory, "log.12.gz"), "");
  expect(await nextLogNumber(directory)).toBe(13);
});

test("a log's size is that of all its files", async () => {
  writeFileSync(join(directory, "log"), "12345");
  writeFileSync(join(directory, "log.1"), "123");
  writeFileSync(join(directory, "other"), "1");
  expect(await logSizeBytes(directory)).toBe(8);
  expect(await logSizeBytes(join(directory, "missing"))).toBe(0);
  expect(statSync(join(directory, "log")).size).toBe(5);
});
