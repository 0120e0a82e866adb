/** Limits of run and create: what the kernel was told, what it does, what inspect shows, what is refused beforehand. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, readlinkSync, rmdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { callApi, callOk } from "./engine-api.ts";
import { type EngineFixture, engineObstacle, openEngineFixture, until } from "./engine-fixture.ts";

if (engineObstacle !== undefined) console.log(`skipped: limits: ${engineObstacle}`);
/** Docker's client where there is one: what it sends is what counts. */
const client = Bun.which("docker") === null ? "tiffin" : "docker";
const clients: readonly ("docker" | "tiffin")[] =
  client === "docker" ? ["docker", "tiffin"] : ["tiffin"];

let engine: EngineFixture;
/** The disk that containers write to, `/dev/vda`, and its number; undefined when it is none that can be limited. */
let disk: { path: string; number: string } | undefined;
const isV2 = !readFileSync("/proc/self/mountinfo", "utf8").includes(" - cgroup cgroup ");

/** The whole disk that a file is on. */
function diskOf(path: string): typeof disk {
  const { dev } = statSync(path);
  const number = `${Math.floor(dev / 256) % 4096}:${(dev % 256) + Math.floor(dev / 2 ** 20) * 256}`;
  const entry = `/sys/dev/block/${number}`;
  if (!existsSync(entry)) return undefined;
  const target = join("/sys/dev/block", readlinkSync(entry));
  const home = existsSync(join(entry, "partition")) ? dirname(target) : target;
  const name = basename(home);
  if (!existsSync(`/dev/${name}`)) return undefined;
  return { path: `/dev/${name}`, number: readFileSync(join(home, "dev"), "utf8").trim() };
}

/** A file of a container's group, on whichever hierarchy it is. */
function limitFile(id: string, file: string, parent = `tiffin/${engine.engineId}`): string {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(" ")[4] ?? "");
  const found = mounts
    .map((mount) => join(mount, parent, id, file))
    .find((path) => existsSync(path));
  return found === undefined ? "no such file" : readFileSync(found, "utf8").trim();
}

const LIMITS =
  `--memory 64m --memory-reservation 32m --memory-swap 96m --cpu-period 50000 --cpu-quota 20000 --cpu-shares 512
  --cpuset-cpus 0 --cpuset-mems 0 --pids-limit 50 --blkio-weight 300 --oom-score-adj 300`
    .split(/\s+/)
    .concat("--device-cgroup-rule", "c 10:200 rw");

describe.skipIf(engineObstacle !== undefined)("limits", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
    disk = diskOf(engine.root);
  });
  afterAll(async () => await engine.close());

  const ok = (...args: string[]): Promise<string> =>
    client === "docker" ? engine.dockerOk(...args) : engine.tiffinOk(...args);

  async function sleeper(...options: string[]): Promise<string> {
    return await ok("run", "-d", "--network", "none", ...options, "busybox", "sleep", "1000");
  }

  test("docker's options are in the kernel's files", async () => {
    const id = await sleeper(...LIMITS);
    const files = isV2
      ? {
          "memory.max": "67108864",
          "memory.low": "33554432",
          "memory.swap.max": "33554432",
          "cpu.max": "20000 50000",
          "cpu.weight": "59",
          "cpuset.cpus": "0",
          "cpuset.mems": "0",
          "pids.max": "50",
        }
      : {
          "memory.limit_in_bytes": "67108864",
          "memory.soft_limit_in_bytes": "33554432",
          "memory.memsw.limit_in_bytes": "100663296",
          "cpu.cfs_period_us": "50000",
          "cpu.cfs_quota_us": "20000",
          "cpu.shares": "512",
          "cpuset.cpus": "0",
          "cpuset.mems": "0",
          "pids.max": "50",
        };
    const told = Object.keys(files).map((file) => [file, limitFile(id, file)]);
    expect(Object.fromEntries(told)).toEqual(files);
    const weight = ["blkio.weight", "blkio.bfq.weight", "io.bfq.weight", "io.weight"]
      .map((file) => limitFile(id, file))
      .filter((text) => text !== "no such file");
    if (weight.length > 0) expect(weight[0]).toMatch(/^(default )?(300|2930)$/);
    expect(await ok("exec", id, "cat", "/proc/1/oom_score_adj")).toBe("300");
    await ok("rm", "-f", id);
  });

  test("inspect shows them as docker does", async () => {
    const rates = disk === undefined ? [] : ["--device-write-bps", `${disk.path}:1mb`];
    const id = await sleeper(...LIMITS, ...rates, "--cgroup-parent", "tiffin-test.shown");
    const { HostConfig } = await callOk<{ HostConfig: Record<string, unknown> }>(
      engine,
      "GET",
      `/containers/${id}/json`,
    );
    expect(HostConfig).toMatchObject({
      Memory: 67108864,
      MemoryReservation: 33554432,
      MemorySwap: 100663296,
      CpuPeriod: 50000,
      CpuQuota: 20000,
      CpuShares: 512,
      CpusetCpus: "0",
      CpusetMems: "0",
      PidsLimit: 50,
      OomScoreAdj: 300,
      CgroupParent: "/tiffin-test.shown",
      DeviceCgroupRules: ["c 10:200 rw"],
      BlkioDeviceWriteBps: disk === undefined ? [] : [{ Path: disk.path, Rate: 1048576 }],
      BlkioDeviceReadBps: [],
    });
    await ok("rm", "-f", id);
    removeParent("tiffin-test.shown");
  });

  /** What --cgroup-parent makes is the user's; here that is the test. */
  function removeParent(name: string): void {
    for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n")) {
      const path = join(line.split(" ")[4] ?? "", name);
      if (/ - cgroup2? /.test(line) && existsSync(path)) rmdirSync(path);
    }
  }

  test("--device-read-bps: what is read past the cache takes its time, and stats counts it", async () => {
    if (disk === undefined)
      return console.log("skipped: disk limits: the state is on no disk here");
    const { path, number } = disk;
    const id = await sleeper(
      "--device-read-bps",
      `${path}:2mb`,
      "--device-write-iops",
      `${path}:1000`,
    );
    if (isV2) {
      expect(limitFile(id, "io.max")).toBe(`${number} rbps=2097152 wbps=max riops=max wiops=1000`);
    } else {
      expect(limitFile(id, "blkio.throttle.read_bps_device")).toBe(`${number} 2097152`);
      expect(limitFile(id, "blkio.throttle.write_iops_device")).toBe(`${number} 1000`);
    }
    await ok("exec", id, "dd", "if=/dev/zero", "of=/data", "bs=1M", "count=4", "conv=fsync");
    const begun = performance.now();
    await ok("exec", id, "dd", "if=/data", "of=/dev/null", "bs=1M", "iflag=direct");
    // 4 MB at 2 MB a second; a bound from below, for the machine may be slow, but not fast.
    expect(performance.now() - begun).toBeGreaterThan(1000);
    type Traffic = { io_service_bytes_recursive: { op: string; value: number }[] | null };
    const { blkio_stats: traffic } = await callOk<{ blkio_stats: Traffic }>(
      engine,
      "GET",
      `/containers/${id}/stats?stream=0&one-shot=1`,
    );
    const read = (traffic.io_service_bytes_recursive ?? [])
      .filter(({ op }) => /^r/i.test(op))
      .reduce((sum, { value }) => sum + value, 0);
    expect(read).toBeGreaterThanOrEqual(4 * 1024 ** 2);
    await ok("rm", "-f", id);
    return undefined;
  });

  test("--cgroup-parent: the group is below it in every hierarchy, also for exec, kill and a new engine", async () => {
    const parent = "tiffin-test.parent/inner";
    const id = await sleeper(
      "--cgroup-parent",
      `/${parent}`,
      "--memory",
      "32m",
      "--cpuset-cpus",
      "0",
    );
    const file = isV2 ? "memory.max" : "memory.limit_in_bytes";
    expect(limitFile(id, file, parent)).toBe("33554432");
    expect(limitFile(id, file)).toBe("no such file");
    await ok("exec", "-d", id, "sleep", "999");
    await until(
      "both are in it",
      () => limitFile(id, "cgroup.procs", parent).split("\n").length >= 2,
    );
    await engine.killEngine();
    await engine.startEngine();
    expect(await ok("exec", id, "echo", "there")).toBe("there");
    await ok("rm", "-f", id);
    await until("it is gone", () => limitFile(id, file, parent) === "no such file");
    removeParent(parent);
    removeParent(dirname(parent));
  });

  test("--device-cgroup-rule lets a container use a device that it may make", async () => {
    const script = "mknod /tmp/kmsg c 1 11 && (: < /tmp/kmsg) && echo open || echo closed";
    const run = ["run", "--rm", "--userns", "host", "--cap-add", "MKNOD", "--cap-add", "SYSLOG"];
    const inside = async (...options: string[]): Promise<string> =>
      (await engine[client]([...run, ...options, "busybox", "sh", "-c", script])).stdout.trim();
    expect(await inside()).toBe("closed");
    expect(await inside("--device-cgroup-rule", "c 1:11 rw")).toBe("open");
  });

  test("what v1 alone has: swappiness, the OOM killer, real-time; on v2 a warning or an error", async () => {
    const options = ["--memory", "32m", "--memory-swappiness", "10", "--oom-kill-disable"];
    const ran = await engine[client](["run", "-d", ...options, "busybox", "sleep", "1000"]);
    const id = ran.stdout.trim();
    expect(ran.status).toBe(0);
    if (isV2) {
      expect(ran.stderr).toContain("Memory swappiness discarded.");
      expect(ran.stderr).toContain("OomKillDisable discarded.");
    } else {
      expect(limitFile(id, "memory.swappiness")).toBe("10");
      expect(limitFile(id, "memory.oom_control")).toMatch(/^oom_kill_disable 1$/m);
    }
    await ok("rm", "-f", id);
    const realtime = ["--cpu-rt-period", "1000000", "--cpu-rt-runtime", "20000"];
    const asked = await engine[client](["run", "-d", ...realtime, "busybox", "sleep", "1000"]);
    if (asked.status === 0) {
      expect(limitFile(asked.stdout.trim(), "cpu.rt_runtime_us")).toBe("20000");
      await ok("rm", "-f", asked.stdout.trim());
    } else {
      expect(asked.stderr).toMatch(/does not support CPU real-time|Cannot give real-time CPU/);
      await engine.removeContainers();
    }
  });

  test("what cannot be is refused before anything is made", async () => {
    const gpu = { Count: -1, Capabilities: [["gpu"]] };
    const refused: [object, RegExp][] = [
      [
        { BlkioDeviceReadBps: [{ Path: "/dev/nothing", Rate: 1000 }] },
        /stat \/dev\/nothing: no such file or directory/,
      ],
      [{ BlkioDeviceReadBps: [{ Path: "/dev/null", Rate: 1000 }] }, /it is no block device/],
      [{ BlkioWeight: 5 }, /Range of blkio weight is from 10 to 1000/],
      [{ CpuRealtimeRuntime: 20, CpuRealtimePeriod: 10 }, /real-time/],
      [{ CgroupParent: "../up" }, /invalid cgroup parent/],
      [
        { DeviceRequests: [gpu] },
        /could not select device driver \\"\\" with capabilities: \[\[gpu\]\]/,
      ],
      [{ DeviceCgroupRules: ["c 1:3"] }, /invalid device cgroup rule format: 'c 1:3'/],
      [{ OomScoreAdj: 1001 }, /range for oom score adj is \[-1000, 1000\]/],
      [{ CpusetMems: "63" }, /Requested memory nodes are not available/],
      [{ IOMaximumIOps: 1 }, /does not support Maximum IO Bandwidth/],
    ];
    for (const [HostConfig, reason] of refused) {
      const body = { Image: "busybox", Cmd: ["true"], HostConfig };
      const { status, text } = await callApi(engine, "POST", "/containers/create", body);
      expect([HostConfig, text]).toEqual([HostConfig, expect.stringMatching(reason)]);
      expect(status).toBeGreaterThanOrEqual(400);
    }
    for (const one of clients) {
      const ran = await engine[one](["create", "--gpus", "all", "busybox", "true"]);
      expect([one, ran.status]).toEqual([one, 1]);
      expect(ran.stderr).toContain('could not select device driver "" with capabilities: [[gpu]]');
    }
    expect(await ok("ps", "-aq")).toBe("");
  });

  test("--kernel-memory is passed over, and told to old clients", async () => {
    const body = { Image: "busybox", Cmd: ["true"], HostConfig: { KernelMemory: 50_000_000 } };
    const create = (version: string) =>
      callOk<{ Id: string; Warnings: string[] }>(
        engine,
        "POST",
        `/v${version}/containers/create`,
        body,
      );
    expect((await create("1.51")).Warnings).toEqual([]);
    expect((await create("1.41")).Warnings[0]).toMatch(
      /kernel memory limit .* Limitation discarded\.$/,
    );
    await engine.removeContainers();
  });
});
