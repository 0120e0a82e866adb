import { describe, expect, test } from "bun:test";
import { parseDeviceRule } from "./devices.ts";
import { parseLayout } from "./layout.ts";
import { cleanParent, DriverPaths } from "./paths.ts";

const LAYOUT = parseLayout(
  [
    "30 29 0:27 / /cg/memory rw - cgroup cgroup rw,memory",
    "31 29 0:28 / /cg/blkio rw - cgroup cgroup rw,blkio",
    "32 29 0:29 / /cg/unified rw - cgroup2 cgroup2 rw",
  ].join("\n"),
);
const parentSets = { cpus: "0", mems: "0" };

describe("DriverPaths", () => {
  test("puts a container below the engine's group, or below the one that was asked for", () => {
    const paths = new DriverPaths(LAYOUT, "e", { parentSets, kernel: "6.18.0" }, (id) =>
      id === "own" ? "a/b" : "",
    );
    expect(paths.unified("other")).toBe("/cg/unified/tiffin/e/other");
    expect(paths.unified("own")).toBe("/cg/unified/a/b/own");
    expect(paths.oomEvents("own")).toBe("/cg/memory/a/b/own/memory.oom_control");
  });

  test("has every container in blkio where the kernel counts its traffic there", () => {
    const joined = (kernel: string): readonly string[] =>
      new DriverPaths(LAYOUT, "e", { parentSets, kernel }).alwaysJoined;
    expect(joined("6.1.0-40-amd64")).toEqual(["memory", "blkio"]);
    expect(joined("6.10.0")).toEqual(["memory"]);
    expect(joined("7.0.1")).toEqual(["memory"]);
  });
});

test("a cgroup parent is a path below the root of each hierarchy, and leads nowhere else", () => {
  expect(cleanParent("/a//b/./c/")).toBe("a/b/c");
  expect(cleanParent("")).toBe("");
  for (const bad of ["..", "/a/../b", "a\nb", "a\0b"]) {
    expect(() => cleanParent(bad)).toThrow(/invalid cgroup parent/);
  }
});

test("a device rule is docker's form; `a` is both kinds and not everything", () => {
  const rule = { allow: true, major: 1, minor: -1, access: "rw" };
  expect(parseDeviceRule("c 1:* rw")).toEqual([{ ...rule, type: "c" }]);
  expect(parseDeviceRule("a 1:* rw").map(({ type }) => type)).toEqual(["c", "b"]);
  for (const bad of ["", "c 1:3", "d 1:3 r", "c 1:3 rwmx", "c -1:3 r", "c 1:3 r\n"]) {
    expect(() => parseDeviceRule(bad)).toThrow(/invalid device cgroup rule format/);
  }
});
