import { expect, test } from "bun:test";
import { parseLogOptions } from "./log-options.ts";

test("without options a log is rotated at 10 MB, kept in five files and compressed", () => {
  expect(parseLogOptions({})).toEqual({ maxBytes: 10_000_000, maxFiles: 5, compress: true });
});

test("docker's options are read in docker's units", () => {
  expect(parseLogOptions({ "max-size": "64k", "max-file": "2", compress: "false" })).toEqual({
    maxBytes: 64_000,
    maxFiles: 2,
    compress: false,
  });
  expect(parseLogOptions({ "max-size": "-1" }).maxBytes).toBe(0);
});

test("a value that cannot be used is refused, and so is an option that is not known", () => {
  for (const options of [
    { "max-size": "0" },
    { "max-size": "much" },
    { "max-file": "0" },
    { "max-file": "-3" },
    { compress: "maybe" },
    { labels: "a" },
  ]) {
    expect(() => parseLogOptions(options as unknown as Record<string, string>)).toThrow();
  }
});
