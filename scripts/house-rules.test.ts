import { expect, test } from "bun:test";
import {
  forbiddenCallFindings,
  lockfileFindings,
  messageFindings,
  nameFindings,
  nativeBudgetFindings,
  nativeLineBudget,
} from "./house-rules.ts";

test("a program run from the engine is found, one from the CLI or a test is fine", () => {
  const text = 'import { spawn } from "node:child_process";\n';
  const paths = ["src/engine/start.ts", "src/cli/run.ts", "src/engine/start.test.ts"];
  const found = forbiddenCallFindings(paths.map((path) => ({ path, text })));
  expect(found).toHaveLength(1);
  expect(found[0]).toStartWith("src/engine/start.ts:1:");
});

test("path calls are found in the unpacker only", () => {
  const text = 'import { openSync } from "node:fs";\n';
  const paths = ["src/layers/unpack.ts", "src/layers/unpack-entry.ts", "src/layers/store.ts"];
  expect(forbiddenCallFindings(paths.map((path) => ({ path, text })))).toHaveLength(2);
});

test("a comment may name what is forbidden", () => {
  const text = "  // throw new Error(): never\n * Bun.spawn(x)\n";
  expect(forbiddenCallFindings([{ path: "src/engine/x.ts", text }])).toEqual([]);
});

test("messages are held to the style", () => {
  const text = [
    'new TiffinError(\n  "internal",\n  "Cannot start.",\n)',
    "invalidArgument(`Can't read ${path}`)",
    'invalidArgument("Cannot read \\"x\\": it is empty")',
  ].join("\n");
  const found = messageFindings([{ path: "src/base/x.ts", text }]);
  expect(found.map((line) => line.split(": ").at(-1))).toEqual([
    "ends with a period",
    "holds a contraction",
  ]);
});

test("C beyond the budget is found; the built-in image's program is not counted", () => {
  const text = "x\n".repeat(nativeLineBudget);
  expect(nativeBudgetFindings([{ path: "native/launch.c", text }])).toEqual([]);
  const hello = { path: "native/hello/hello.c", text };
  expect(nativeBudgetFindings([{ path: "native/launch.c", text }, hello])).toEqual([]);
  const header = { path: "native/launch.h", text: "x\n" };
  expect(nativeBudgetFindings([{ path: "native/launch.c", text }, header])).toHaveLength(1);
});

test("a registry in the lockfile is found", () => {
  const text = '{\n  "resolved": "https://registry.example/x.tgz"\n}\n';
  expect(lockfileFindings([{ path: "package-lock.json", text }])).toHaveLength(1);
});

test("a name that says nothing is found", () => {
  const files = ["src/base/utils.ts", "src/base/digest.ts"].map((path) => ({ path, text: "" }));
  expect(nameFindings(files)).toHaveLength(1);
});
