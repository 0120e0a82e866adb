import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseSpec } from "./bundle.ts";
import { deviceRules, resourceWritesV1, resourceWritesV2 } from "./cgroup-resources.ts";
import { parseCommandLine } from "./command-line.ts";
import { readMountOptions } from "./mount-options.ts";
import { resolveInRoot } from "./mount-place.ts";
import { cgroupPath } from "./prepare.ts";

const parent = { cpus: "0-1", mems: "0" };

describe("parseCommandLine()", () => {
  const flags = { "bundle|b": "value", "force|f": "switch", "env|e": "list" } as const;

  test("takes one dash or two, values after a blank or an equals sign", () => {
    const line = parseCommandLine(["-b", "/x", "--force", "--env=A=1", "-e", "B=2", "id"], flags);
    expect(line.value("bundle")).toBe("/x");
    expect(line.has("force")).toBe(true);
    expect(line.list("env")).toEqual(["A=1", "B=2"]);
    expect(line.operands).toEqual(["id"]);
  });

  test("leaves everything after the first operand alone", () => {
    expect(parseCommandLine(["id", "ls", "-b"], flags).operands).toEqual(["id", "ls", "-b"]);
  });

  test("refuses flags that are unknown or lack their value", () => {
    expect(() => parseCommandLine(["--nothing"], flags)).toThrow("Unknown flag: --nothing");
    expect(() => parseCommandLine(["--bundle"], flags)).toThrow("needs a value");
  });
});

describe("parseSpec()", () => {
  const spec = (more: object) => JSON.stringify({ ociVersion: "1.3.0", ...more });

  test("keeps numbers beyond 2^53, and takes null for what is missing", () => {
    const text = spec({ hostname: null, process: { cwd: "/", args: ["a"], rlimits: null } });
    expect(parseSpec(text).process).toEqual({ cwd: "/", args: ["a"] });
    const limit =
      '{"ociVersion":"1.0.0","linux":{"resources":{"memory":{"limit":9223372036854771712}}}}';
    expect(parseSpec(limit).linux?.resources?.memory?.limit).toBe(9223372036854771712n);
  });

  test("says where a value is of the wrong type or missing", () => {
    expect(() => parseSpec(spec({ root: { path: 1 } }))).toThrow("root.path is not a text");
    expect(() => parseSpec(spec({ mounts: [{}] }))).toThrow("mounts[0].destination is missing");
    expect(() => parseSpec('{"ociVersion":"2.0.0"}')).toThrow('ociVersion "2.0.0"');
    expect(() => parseSpec("{")).toThrow("it is no JSON");
  });
});

describe("readMountOptions()", () => {
  test("takes the last of two that contradict each other", () => {
    const { set, clear } = readMountOptions({ destination: "/", options: ["ro", "rw", "nosuid"] });
    expect([set, clear]).toEqual([2, 1]);
  });

  test("sorts flags, propagation and what is the file system's own", () => {
    const options = readMountOptions({
      destination: "/",
      options: ["rbind", "rro", "rslave", "size=1m", "sync"],
    });
    expect(options).toMatchObject({ bind: true, recursive: true, recursiveSet: 1 });
    expect(options.propagations).toEqual([{ flag: 0x80000, recursive: true }]);
    expect(options.data).toEqual([
      ["size", "1m"],
      ["sync", null],
    ]);
  });
});

describe("resources", () => {
  test("become values of cgroup v1 and v2", () => {
    const resources = {
      memory: { limit: 100, swap: 150 },
      cpu: { quota: 50, period: 100 },
      pids: { limit: -1 },
    };
    const values = (writes: readonly { file: string; value: string }[]) =>
      Object.fromEntries(writes.map(({ file, value }) => [file, value]));
    expect(values(resourceWritesV1(resources, parent))).toMatchObject({
      "memory.limit_in_bytes": "100",
      "memory.memsw.limit_in_bytes": "150",
      "cpu.cfs_quota_us": "50",
      "pids.max": "max",
    });
    expect(values(resourceWritesV2(resources))).toMatchObject({
      "memory.max": "100",
      "memory.swap.max": "50",
      "cpu.max": "50 100",
      "pids.max": "max",
    });
  });

  test("that cgroup v2 lacks are refused", () => {
    expect(() => resourceWritesV2({ memory: { swappiness: 1 } })).toThrow("memory.swappiness");
    expect(() => resourceWritesV2({ memory: { swap: 1 } })).toThrow("swap alone");
  });

  test("a rule for all devices makes those before it void", () => {
    const all = { allow: true, access: "rwm" };
    const none = { allow: false, access: "rwm" };
    const one = { allow: true, type: "c", major: 10, minor: 229, access: "rw" };
    expect(deviceRules([one, all])).toEqual([
      { allow: true, type: "a", major: -1, minor: -1, access: "rwm" },
    ]);
    expect(deviceRules([all, none, one])[0]).toEqual(one as never);
  });
});

describe("cgroupPath()", () => {
  test("is absolute, and systemd's form names the directory that systemd would make", () => {
    expect(cgroupPath(undefined, "c")).toBe("/tiffin-oci/c");
    expect(cgroupPath("a/b", "c")).toBe("/a/b");
    expect(cgroupPath("machine-a.slice:libpod:id", "c")).toBe(
      "/machine.slice/machine-a.slice/libpod-id.scope",
    );
    expect(() => cgroupPath("/a/../b", "c")).toThrow("it is no path");
  });
});

describe("resolveInRoot()", () => {
  test("follows links within the root, also to what is missing", () => {
    const root = mkdtempSync(join(tmpdir(), "tiffin-place-"));
    mkdirSync(join(root, "etc"));
    symlinkSync("/run/resolve/stub", join(root, "etc/resolv.conf"));
    symlinkSync("../../../..", join(root, "up"));
    symlinkSync("loop", join(root, "loop"));
    expect(resolveInRoot(root, "/etc/resolv.conf")).toBe("/run/resolve/stub");
    expect(resolveInRoot(root, "/up/etc/x")).toBe("/etc/x");
    expect(() => resolveInRoot(root, "/loop")).toThrow("too many links");
    rmSync(root, { recursive: true });
  });
});
