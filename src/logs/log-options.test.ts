import { describe, expect, test } from "bun:test";
import { parseLogOptions, validateLogOptions } from "./log-options.ts";

test("without options a log is rotated at 10 MB, kept in five files and compressed; local's at 20 MiB", () => {
  const usual = { maxBytes: 10_000_000, maxFiles: 5, compress: true };
  expect(parseLogOptions("", {})).toEqual(usual);
  expect(parseLogOptions("json-file", {})).toEqual(usual);
  expect(parseLogOptions("local", {})).toEqual({ ...usual, maxBytes: 20_971_520 });
});

test("docker's options are read in docker's units", () => {
  const options = { "max-size": "64k", "max-file": "2", compress: "false" };
  expect(parseLogOptions("json-file", options)).toEqual({
    maxBytes: 64_000,
    maxFiles: 2,
    compress: false,
  });
  expect(parseLogOptions("", { "max-size": "-1" }).maxBytes).toBe(0);
});

describe("docker's refusals", () => {
  test.each<[driver: string, options: Record<string, string>, reason: string]>([
    ["syslog", {}, "logger: no log driver named 'syslog' is registered"],
    ["json-file", { fruit: "plum" }, "unknown log opt 'fruit' for json-file log driver"],
    ["local", { labels: "a" }, "unknown log opt 'labels' for log driver local"],
    ["local", { mode: "fast" }, "logger: logging mode not supported: fast"],
    [
      "json-file",
      { "max-buffer-size": "1m" },
      "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
    ],
    ["json-file", { "max-size": "0" }, "max-size must be a positive number"],
    ["json-file", { "max-size": "much" }, "invalid size: 'much'"],
    ["json-file", { "max-file": "0" }, "max-file cannot be less than 1"],
    ["json-file", { "max-file": "x" }, 'strconv.Atoi: parsing "x": invalid syntax'],
    ["json-file", { compress: "maybe" }, 'strconv.ParseBool: parsing "maybe": invalid syntax'],
    ["json-file", { compress: "true", "max-file": "1" }, "compress cannot be true when max-file"],
  ])("%s %j", (driver, options, reason) => {
    expect(() => validateLogOptions(driver, options)).toThrow(reason);
  });

  test("what docker takes is taken", () => {
    const attributes = {
      labels: "a,b",
      env: "C",
      "labels-regex": "^x",
      "env-regex": "y",
      tag: "t",
    };
    validateLogOptions("json-file", { ...attributes, "max-file": "1", mode: "non-blocking" });
    validateLogOptions("", attributes);
    validateLogOptions("local", { mode: "non-blocking", "max-buffer-size": "4m", compress: "0" });
    validateLogOptions("none", { anything: "goes" });
  });
});
