import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { type Operation, register } from "../base/operation.ts";
import { perform } from "../kernel/perform.ts";
import { DEFAULT_DEVICE_RULES, planDeviceFilter } from "./devices.ts";
import { CgroupDriver } from "./driver.ts";
import { type CgroupLayout, parseLayout, readLayout } from "./layout.ts";
import { oomKills } from "./memory.ts";
import { DriverPaths } from "./paths.ts";
import { planCgroups } from "./plan.ts";

const MB = 1024 * 1024;
const isRoot = process.getuid?.() === 0;
if (!isRoot) console.log("skipped: tests that make cgroups (not root)");

/** This host's own layout, and where it has v1 hierarchies also without v2 beside them. */
function layouts(): [string, CgroupLayout][] {
  const own = readLayout();
  const v1: [string, CgroupLayout][] =
    own.kind === "hybrid" ? [["v1", { ...own, kind: "v1", unified: null }]] : [];
  return [[own.kind, own], ...v1];
}

describe.skipIf(!isRoot).each(layouts())("CgroupDriver on %s", (kind, layout) => {
  const driver = new CgroupDriver(`test-${kind}-${process.pid}`, layout);
  const children: Bun.Subprocess[] = [];

  beforeAll(() => driver.prepare());
  afterAll(async () => {
    for (const child of children) child.kill(9);
    for (const id of driver.list()) {
      driver.kill(id);
      await driver.remove(id);
    }
    driver.dispose();
  });

  /** Makes the groups, and starts a shell that waits for a line before it runs the script. */
  function start(
    id: string,
    resources: Parameters<CgroupDriver["plan"]>[0]["resources"],
    script: string,
  ): Bun.Subprocess<"pipe", "pipe", "inherit"> {
    const plan = driver.plan({ containerId: id, resources, deviceRules: DEFAULT_DEVICE_RULES });
    for (const [name, fd] of perform([...plan.create, ...plan.limit])) {
      // The launcher closes all descriptors of a plan at once; here those that would hold groups are closed one by one.
      if (name === plan.intoCgroup?.register || name.startsWith("procs.")) closeSync(fd);
    }
    const child = Bun.spawn(["sh", "-c", `read line; ${script}`], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    children.push(child);
    for (const group of driver.paths.groups(id)) {
      if (existsSync(group)) writeFileSync(`${group}/cgroup.procs`, String(child.pid));
    }
    return child;
  }

  function go(child: Bun.Subprocess<"pipe", "pipe", "inherit">): void {
    void child.stdin.write("\n");
    void child.stdin.end();
  }

  test("makes groups with limits, lists them, and removes them with what the container made below", async () => {
    const child = start(
      "limits",
      { memoryBytes: 64 * MB, nanoCpus: 500_000_000, pidsLimit: 32, cpusetCpus: "0" },
      "sleep 60",
    );
    expect(driver.list()).toContain("limits");
    expect(driver.processes("limits")).toEqual([child.pid]);
    const stats = driver.stats("limits");
    expect(stats.memory.limitBytes).toBe(64 * MB);
    expect(stats.pids.limit).toBe(32);
    expect(stats.pids.current).toBeGreaterThanOrEqual(1);
    driver.update("limits", { memoryBytes: 256 * MB, pidsLimit: 16 });
    expect(driver.stats("limits").memory.limitBytes).toBe(256 * MB);
    driver.update("limits", { memoryBytes: 32 * MB });
    expect(driver.stats("limits").memory.limitBytes).toBe(32 * MB);
    expect(driver.stats("limits").pids.limit).toBe(16);
    await expect(driver.remove("limits")).rejects.toThrow(/processes left/);
    driver.kill("limits");
    await child.exited;
    expect(child.signalCode).toBe("SIGKILL");
    await driver.remove("limits");
    expect(driver.list()).not.toContain("limits");
  });

  test("ends what still runs in the groups, and what does not", async () => {
    const child = start("ending", {}, "exec sleep 100");
    await driver.end("ending");
    await child.exited;
    expect(child.signalCode).toBe("SIGKILL");
    expect(driver.list()).toEqual([]);
    await driver.end("ending");
    const empty = driver.plan({ containerId: "empty", resources: {}, deviceRules: [] });
    for (const [name, fd] of perform([...empty.create, ...empty.limit])) {
      if (name === empty.intoCgroup?.register || name.startsWith("procs.")) closeSync(fd);
    }
    await driver.end("empty");
    expect(driver.list()).toEqual([]);
  });

  test("adds a limit of another kind to a container that runs", async () => {
    const child = start("later", {}, "sleep 60");
    driver.update("later", { nanoCpus: 250_000_000, cpusetCpus: "0" });
    const own = readFileSync(`/proc/${child.pid}/cgroup`, "utf8");
    if (driver.layout.kind !== "v2") {
      expect(own).toMatch(/:cpu(,cpuacct)?:\/tiffin\/.*\/later$/m);
      expect(own).toMatch(/:cpuset:\/tiffin\/.*\/later$/m);
    }
    expect(readFileSync(`/proc/${child.pid}/status`, "utf8")).toMatch(/^Cpus_allowed_list:\t0$/m);
    driver.kill("later");
    await child.exited;
    await driver.remove("later");
  });

  test("freezes and thaws", async () => {
    const child = start("frozen", {}, "while :; do sleep 0.01; done");
    go(child);
    driver.freeze("frozen");
    while (!driver.isFrozen("frozen")) await Bun.sleep(5);
    driver.thaw("frozen");
    while (driver.isFrozen("frozen")) await Bun.sleep(5);
    driver.freeze("frozen");
    driver.kill("frozen");
    await child.exited;
    await driver.remove("frozen");
  });

  test("counts kills for want of memory", async () => {
    const child = start(
      "greedy",
      { memoryBytes: 16 * MB, memorySwapBytes: 16 * MB },
      "x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo ${#x}",
    );
    const { oomEventsPath } = driver.plan({
      containerId: "greedy",
      resources: {},
      deviceRules: [],
    });
    go(child);
    await child.exited;
    expect(oomKills(readFileSync(oomEventsPath ?? "", "utf8"))).toBeGreaterThan(0);
    expect(driver.stats("greedy").memory.oomKills).toBeGreaterThan(0);
    await driver.remove("greedy");
  });

  test("keeps devices away", async () => {
    const child = start(
      "devices",
      {},
      "head -c 1 /dev/zero >/dev/null && echo zero; (: </dev/kmsg) 2>/dev/null && echo kmsg; echo done",
    );
    go(child);
    const text = await new Response(child.stdout).text();
    // On v2 the filter is attached to the directory, on v1 it is the group's: both hold for who is moved in.
    expect(text).toBe("zero\ndone\n");
    await child.exited;
    await driver.remove("devices");
  });

  test("filters devices by a program on v2, also beside v1", async () => {
    const unified = driver.paths.unified("program");
    if (unified === undefined) return console.log("skipped: no cgroup v2 here");
    const child = start(
      "program",
      {},
      "head -c 1 /dev/zero >/dev/null && echo zero; (: </dev/kmsg) 2>/dev/null && echo kmsg; echo done",
    );
    const registers = new Map([["directory", openSync(unified, "r")]]);
    perform(planDeviceFilter(DEFAULT_DEVICE_RULES, register("directory")), registers);
    // On v1 the device group would deny it too: outside of it only the program does.
    const devices = driver.paths.hierarchy("devices");
    if (devices !== undefined) writeFileSync(`${devices}/cgroup.procs`, String(child.pid));
    go(child);
    expect(await new Response(child.stdout).text()).toBe("zero\ndone\n");
    await child.exited;
    closeSync(registers.get("directory") ?? -1);
    await driver.remove("program");
    return undefined;
  });

  test("says which container has no group", () => {
    expect(() => driver.stats("nobody")).toThrow(/Container nobody has no cgroup/);
    expect(driver.processes("nobody")).toEqual([]);
    driver.kill("nobody");
  });
});

describe("planCgroups()", () => {
  const v2 = parseLayout("30 22 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  const v1 = parseLayout(
    ["memory", "cpu", "devices", "freezer", "pids"]
      .map((name) => `31 30 0:28 / /sys/fs/cgroup/${name} rw - cgroup cgroup rw,${name}`)
      .join("\n"),
  );
  const request = {
    containerId: "c",
    resources: { pidsLimit: 8 },
    deviceRules: DEFAULT_DEVICE_RULES,
  };
  const paths = (layout: typeof v2): DriverPaths =>
    new DriverPaths(layout, "e", { parentSets: { cpus: "0", mems: "0" }, kernel: "6.18.0" });

  const callsOf = (steps: readonly Operation[]): string[] =>
    steps.map((step) => ("call" in step ? step.call : step.control));
  const openedFiles = (steps: readonly Operation[]): string[] =>
    steps.flatMap((step) =>
      "call" in step && step.call === "openat" && typeof step.args[1] === "string"
        ? [step.args[1]]
        : [],
    );

  test("on v2 makes one group, with the device filter attached, and enters it by the fork", () => {
    const plan = planCgroups(paths(v2), request);
    expect(plan.intoCgroup).toEqual({ register: "cgroup.v2" });
    expect(plan.enter).toEqual([]);
    expect(plan.mounts).toBeNull();
    expect(plan.oomEventsPath).toBe("/sys/fs/cgroup/tiffin/e/c/memory.events");
    expect(callsOf(plan.create)).toEqual(["mkdirat", "openat"]);
    expect(callsOf(plan.limit)).toEqual(["openat", "write", "bpf", "bpf"]);
  });

  test("on v1 makes only the groups that are needed, and enters them by their files", () => {
    const plan = planCgroups(paths(v1), request);
    expect(plan.intoCgroup).toBeUndefined();
    expect(plan.create).toEqual([]);
    // All rules of devices go through one descriptor.
    expect(openedFiles(plan.limit).filter((path) => path.endsWith("devices.allow"))).toHaveLength(
      1,
    );
    const made = plan.limit.flatMap((step) =>
      "call" in step && step.call === "mkdirat" ? [step.args[1]] : [],
    );
    expect(made).toEqual(
      ["memory", "freezer", "pids", "devices"].map((name) => `/sys/fs/cgroup/${name}/tiffin/e/c`),
    );
    // Not by cgroup.procs, for which the kernel holds up all forks.
    expect(openedFiles(plan.limit).filter((path) => path.endsWith("/tasks"))).toHaveLength(4);
    expect(plan.enter.filter((step) => "call" in step && step.call === "write")).toHaveLength(4);
    expect(plan.mounts?.map((mount) => mount.directory)).toEqual([
      "memory",
      "devices",
      "freezer",
      "pids",
    ]);
  });

  test("refuses a limit for which the host has no controller", () => {
    expect(() => planCgroups(paths(v1), { ...request, resources: { cpusetCpus: "0" } })).toThrow(
      /the host has no cpuset cgroup controller/,
    );
  });
});
