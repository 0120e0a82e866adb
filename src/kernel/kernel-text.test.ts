import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { kernelText } from "./kernel-text.ts";

test("a file of the kernel's is read whole, also one of many records", () => {
  expect(kernelText("/proc/sys/kernel/ostype")).toBe("Linux\n");
  const symbols = "/proc/kallsyms";
  expect(kernelText(symbols).length).toBe(readFileSync(symbols, "latin1").length);
});

test("what is not there, or cannot be read, says nothing", () => {
  expect(kernelText("/proc/no-such-file")).toBe("");
  expect(kernelText("/proc")).toBe("");
});
