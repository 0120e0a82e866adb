import { describe, expect, test } from "bun:test";
import { blkioV1, blkioV2, ioWeight, limitedDisks, validateBlkio } from "./blkio.ts";
import type { Resources } from "./resources.ts";

const NUMBERS: Readonly<Record<string, string>> = { "/dev/vda": "254:0", "/dev/sdb": "8:16" };
const numberOf = (path: string): string => NUMBERS[path] ?? "none";

const RESOURCES: Resources = {
  blkioWeight: 300,
  blkioWeightDevices: [{ path: "/dev/sdb", weight: 1000 }],
  blkioReadBps: [{ path: "/dev/vda", rate: 1_000_000 }],
  blkioWriteBps: [{ path: "/dev/vda", rate: 2_000_000 }],
  blkioReadIops: [{ path: "/dev/sdb", rate: 30 }],
  blkioWriteIops: [{ path: "/dev/vda", rate: 0 }],
};

const lines = (writes: ReturnType<typeof blkioV1>): string[] =>
  writes.map(({ file, value, optional }) => `${file} ${value}${optional === true ? " ?" : ""}`);

describe("limits of disks", () => {
  test("on v1 have a file each; of a weight's files the kernel has one", () => {
    expect(lines(blkioV1(RESOURCES, numberOf))).toEqual([
      "blkio.weight 300 ?",
      "blkio.bfq.weight 300 ?",
      "blkio.weight_device 8:16 1000 ?",
      "blkio.bfq.weight_device 8:16 1000 ?",
      "blkio.throttle.read_bps_device 254:0 1000000",
      "blkio.throttle.write_bps_device 254:0 2000000",
      "blkio.throttle.read_iops_device 8:16 30",
      "blkio.throttle.write_iops_device 254:0 0",
    ]);
  });

  test("on v2 are lines of io.max and io.weight, whose scale is another", () => {
    expect(lines(blkioV2(RESOURCES, numberOf))).toEqual([
      "io.bfq.weight 300 ?",
      "io.weight 2930 ?",
      "io.bfq.weight 8:16 1000 ?",
      "io.weight 8:16 10000 ?",
      "io.max 254:0 rbps=1000000",
      "io.max 254:0 wbps=2000000",
      "io.max 8:16 riops=30",
      "io.max 254:0 wiops=max",
    ]);
    expect([10, 500, 1000].map(ioWeight)).toEqual([1, 4950, 10_000]);
  });

  test("name each disk once", () => {
    expect(limitedDisks(RESOURCES)).toEqual(["/dev/sdb", "/dev/vda"]);
    expect(limitedDisks({ memoryBytes: 1 })).toEqual([]);
  });

  test("are refused out of range", () => {
    expect(() => validateBlkio({ blkioWeight: 9 })).toThrow(/from 10 to 1000/);
    expect(() => validateBlkio({ blkioWeight: 1001 })).toThrow(/from 10 to 1000/);
    expect(() => validateBlkio({ blkioWeightDevices: [{ path: "/dev/vda", weight: 5 }] })).toThrow(
      /invalid weight for device: \/dev\/vda:5/,
    );
    expect(() => validateBlkio({ blkioReadBps: [{ path: "/dev/vda", rate: -1 }] })).toThrow(
      /invalid rate/,
    );
    expect(() => validateBlkio(RESOURCES)).not.toThrow();
  });
});
