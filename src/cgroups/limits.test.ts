import { describe, expect, test } from "bun:test";
import { cpuWeight } from "./cpu.ts";
import { parseList } from "./cpuset.ts";
import { DEFAULT_DEVICE_RULES, deviceProgram, devicesV1 } from "./devices.ts";
import { validateResources, writesV1, writesV2 } from "./limits.ts";
import { oomKills } from "./memory.ts";
import type { DeviceRule, Resources } from "./resources.ts";
import { parseIoV2, parsePressure } from "./stats.ts";

const MB = 1024 * 1024;
const HOST = { cpus: "0-3", mems: "0", count: 4 };

function asText(writes: ReturnType<typeof writesV2>): string[] {
  return writes.map((write) => `${write.file} ${write.value}`);
}

describe("writesV1()", () => {
  test("sets memory before memory and swap, which docker makes twice as large", () => {
    expect(asText(writesV1({ memoryBytes: 64 * MB }, HOST))).toEqual([
      `memory.limit_in_bytes ${64 * MB}`,
      `memory.memsw.limit_in_bytes ${128 * MB}`,
    ]);
  });

  test("leaves swap without limit for -1", () => {
    const resources = { memoryBytes: 64 * MB, memorySwapBytes: -1 };
    expect(asText(writesV1(resources, HOST))).toContain("memory.memsw.limit_in_bytes -1");
  });

  test("turns CPUs to a quota of the usual period, written after it", () => {
    expect(asText(writesV1({ nanoCpus: 500_000_000 }, HOST))).toEqual([
      "cpu.cfs_period_us 100000",
      "cpu.cfs_quota_us 50000",
    ]);
  });

  test("fills the half of a cpuset that was not asked for from the parent", () => {
    expect(asText(writesV1({ cpusetCpus: "1" }, HOST))).toEqual(["cpuset.cpus 1", "cpuset.mems 0"]);
  });

  test("gives real-time CPU its period first, and keeps the OOM killer away", () => {
    const resources = {
      cpuRealtimePeriodMicroseconds: 1_000_000,
      cpuRealtimeRuntimeMicroseconds: 50_000,
      oomKillDisable: true,
    };
    expect(asText(writesV1(resources, HOST))).toEqual([
      "memory.oom_control 1",
      "cpu.rt_period_us 1000000",
      "cpu.rt_runtime_us 50000",
    ]);
    expect(writesV2(resources)).toEqual([]);
  });

  test("writes nothing without limits", () => {
    expect(writesV1({}, HOST)).toEqual([]);
    expect(writesV1({ pidsLimit: -1, memoryBytes: 0 }, HOST)).toEqual([]);
  });
});

describe("writesV2()", () => {
  test("counts swap alone", () => {
    expect(asText(writesV2({ memoryBytes: 64 * MB, memorySwapBytes: 96 * MB }))).toEqual([
      `memory.max ${64 * MB}`,
      `memory.swap.max ${32 * MB}`,
    ]);
    expect(asText(writesV2({ memoryBytes: 64 * MB, memorySwapBytes: 64 * MB }))[1]).toBe(
      "memory.swap.max 0",
    );
    expect(asText(writesV2({ memoryBytes: 64 * MB, memorySwapBytes: -1 }))[1]).toBe(
      "memory.swap.max max",
    );
  });

  test("writes each limit to its file", () => {
    const resources: Resources = {
      nanoCpus: 1_500_000_000,
      cpuShares: 512,
      cpusetCpus: "0-1",
      pidsLimit: 32,
      memoryReservationBytes: 8 * MB,
    };
    expect(asText(writesV2(resources))).toEqual([
      `memory.low ${8 * MB}`,
      "cpu.weight 59",
      "cpu.max 150000 100000",
      "cpuset.cpus 0-1",
      "pids.max 32",
    ]);
    expect(asText(writesV2({ cpuPeriodMicroseconds: 50_000 }))).toEqual(["cpu.max max 50000"]);
  });
});

describe("cpuWeight()", () => {
  test("meets both scales at their ends and their defaults", () => {
    expect([0, 2, 1024, 262_144, 300_000].map(cpuWeight)).toEqual([1, 1, 100, 10_000, 10_000]);
  });

  test("never falls", () => {
    let last = 0;
    for (let shares = 2; shares <= 262_144; shares += 97) {
      expect(cpuWeight(shares)).toBeGreaterThanOrEqual(last);
      last = cpuWeight(shares);
    }
  });
});

describe("validateResources()", () => {
  test.each<[Resources, RegExp]>([
    [{ memoryBytes: 5 * MB }, /Minimum memory limit allowed is 6MB/],
    [
      { memoryBytes: 64 * MB, memorySwapBytes: 32 * MB },
      /memoryswap limit should be larger than memory limit/,
    ],
    [{ memorySwapBytes: 32 * MB }, /always set the Memory limit when using Memoryswap limit/],
    [
      { memoryBytes: 64 * MB, memoryReservationBytes: 65 * MB },
      /can not be less than memory reservation limit/,
    ],
    [{ memorySwappiness: 101 }, /valid memory swappiness range is 0-100/],
    [
      { nanoCpus: 5_000_000_000 },
      /Range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available/,
    ],
    [{ nanoCpus: 1 }, /Range of CPUs is from 0.01/],
    [{ nanoCpus: 1e9, cpuQuotaMicroseconds: 5000 }, /Nano CPUs and CPU Quota cannot both be set/],
    [{ cpuPeriodMicroseconds: 999 }, /CPU cfs period can not be less than 1ms/],
    [{ cpuQuotaMicroseconds: 999 }, /CPU cfs quota can not be less than 1ms/],
    [{ cpusetCpus: "0-4" }, /Requested CPUs are not available - requested 0-4, available: 0-3/],
    [{ cpusetMems: "1" }, /Requested memory nodes are not available/],
    [{ cpusetCpus: "a" }, /Invalid value a for cpuset cpus/],
  ])("refuses %p", (resources, message) => {
    expect(() => validateResources(resources, HOST)).toThrow(message);
  });

  test("accepts what fits", () => {
    validateResources(
      { memoryBytes: 6 * MB, nanoCpus: 4e9, cpusetCpus: "0,2-3", pidsLimit: 1 },
      HOST,
    );
    validateResources({}, HOST);
  });
});

describe("parseList()", () => {
  test("reads numbers and ranges", () => {
    expect(parseList("5,0-2,1\n")).toEqual([0, 1, 2, 5]);
    expect(parseList("")).toEqual([]);
  });

  test("refuses ranges that fall", () => {
    expect(() => parseList("3-1")).toThrow(/Invalid value/);
  });
});

describe("oomKills()", () => {
  test("reads v1's memory.oom_control and v2's memory.events", () => {
    expect(oomKills("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")).toBe(2);
    expect(oomKills("low 0\nhigh 0\nmax 9\noom 3\noom_kill 1\noom_group_kill 0\n")).toBe(1);
    expect(oomKills("")).toBe(0);
  });
});

describe("devicesV1()", () => {
  test("denies all, then allows one by one", () => {
    const writes = devicesV1(DEFAULT_DEVICE_RULES);
    expect(writes[0]).toMatchObject({ file: "devices.deny", value: "a" });
    expect(writes.map((write) => write.value)).toContain("c 1:3 rwm");
    expect(writes.map((write) => write.value)).toContain("c 136:* rwm");
  });

  test("does nothing when everything is allowed", () => {
    expect(devicesV1([{ allow: true, type: "a", major: -1, minor: -1, access: "rwm" }])).toEqual(
      [],
    );
  });
});

/** Runs a device program as the kernel does. */
function ask(
  rules: readonly DeviceRule[],
  device: [type: "b" | "c", major: number, minor: number, access: string],
): number {
  const [type, major, minor, access] = device;
  const wanted = access
    .split("")
    .reduce((bits, letter) => bits | { m: 1, r: 2, w: 4 }[letter as "m"], 0);
  const context = [(wanted << 16) | (type === "b" ? 1 : 2), major, minor];
  const code = Buffer.from(deviceProgram(rules));
  const registers: number[] = [0, 0, 0, 0, 0, 0];
  for (let at = 0; at * 8 < code.length; at++) {
    const to = code.readUInt8(at * 8 + 1) & 15;
    const from = code.readUInt8(at * 8 + 1) >> 4;
    const offset = code.readInt16LE(at * 8 + 2);
    const value = code.readInt32LE(at * 8 + 4);
    const [a = 0, b = 0] = [registers[to], registers[from]];
    switch (code.readUInt8(at * 8)) {
      case 0x61:
        registers[to] = context[offset / 4] ?? 0;
        break;
      case 0x57:
        registers[to] = a & value;
        break;
      case 0x77:
        registers[to] = a >>> value;
        break;
      case 0xb7:
        registers[to] = value;
        break;
      case 0xbf:
        registers[to] = b;
        break;
      case 0x15:
        if (a === value) at += offset;
        break;
      case 0x55:
        if (a !== value) at += offset;
        break;
      case 0x5d:
        if (a !== b) at += offset;
        break;
      case 0x95:
        return registers[0] ?? 0;
      default:
        throw new Error("unknown instruction");
    }
  }
  throw new Error("the program runs off its end");
}

describe("deviceProgram()", () => {
  test("allows the usual devices, making any node, and nothing else", () => {
    expect(ask(DEFAULT_DEVICE_RULES, ["c", 1, 3, "rw"])).toBe(1);
    expect(ask(DEFAULT_DEVICE_RULES, ["c", 136, 7, "rw"])).toBe(1);
    expect(ask(DEFAULT_DEVICE_RULES, ["b", 8, 0, "m"])).toBe(1);
    expect(ask(DEFAULT_DEVICE_RULES, ["b", 8, 0, "r"])).toBe(0);
    expect(ask(DEFAULT_DEVICE_RULES, ["b", 8, 0, "rm"])).toBe(0);
    expect(ask(DEFAULT_DEVICE_RULES, ["c", 10, 200, "rw"])).toBe(0);
  });

  test("lets the last rule that fits decide", () => {
    const all: DeviceRule = { allow: true, type: "a", major: -1, minor: -1, access: "rwm" };
    const rules: DeviceRule[] = [
      all,
      { allow: false, type: "b", major: 8, minor: -1, access: "w" },
    ];
    expect(ask(rules, ["b", 8, 1, "r"])).toBe(1);
    expect(ask(rules, ["b", 8, 1, "rw"])).toBe(0);
    expect(ask(rules, ["c", 8, 1, "rw"])).toBe(1);
  });
});

describe("readers of statistics", () => {
  test("parseIoV2() reads io.stat", () => {
    expect(parseIoV2("254:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n")).toEqual([
      { major: 254, minor: 0, readBytes: 10, writeBytes: 20, reads: 1, writes: 2 },
    ]);
  });

  test("parsePressure() reads both lines, and takes a missing one as no pressure", () => {
    const text = "some avg10=1.50 avg60=0.20 avg300=0.00 total=42\n";
    expect(parsePressure(text)).toEqual({
      some: { average10: 1.5, average60: 0.2, average300: 0, totalMicroseconds: 42 },
      full: { average10: 0, average60: 0, average300: 0, totalMicroseconds: 0 },
    });
  });
});
