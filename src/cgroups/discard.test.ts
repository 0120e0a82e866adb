import { describe, expect, test } from "bun:test";
import { discardUnsupported } from "./discard.ts";
import type { Resources } from "./resources.ts";
import { supportV1, supportV2 } from "./support.ts";

const ALL_V1 = supportV1(() => true);
const NONE = supportV1(() => false);
const V2 = supportV2(() => true);

const RESOURCES: Resources = {
  memoryBytes: 64_000_000,
  memoryReservationBytes: 32_000_000,
  memorySwappiness: 0,
  oomKillDisable: true,
  cpuShares: 512,
  cpuQuotaMicroseconds: 5000,
  cpusetCpus: "0",
  pidsLimit: 10,
  blkioWeight: 300,
  blkioReadIops: [{ path: "/dev/vda", rate: 1 }],
};

describe("discardUnsupported()", () => {
  test("keeps all that the kernel has, without a word", () => {
    expect(discardUnsupported(RESOURCES, ALL_V1)).toEqual({ resources: RESOURCES, warnings: [] });
  });

  test("leaves out what it lacks, and says each in docker's words", () => {
    const { resources, warnings } = discardUnsupported(RESOURCES, NONE);
    expect(resources).toEqual({});
    expect(warnings).toHaveLength(10);
    expect(warnings).toContain(
      "Your kernel does not support IOPS Block read limit or the cgroup is not mounted. Block I/O IOPS read limit discarded.",
    );
  });

  test("on v2 there is no swappiness and no disabling of the OOM killer", () => {
    const { resources, warnings } = discardUnsupported(RESOURCES, V2);
    expect(warnings).toEqual([
      "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. Memory swappiness discarded.",
      "Your kernel does not support OomKillDisable. OomKillDisable discarded.",
    ]);
    expect(Object.keys(resources)).not.toContain("memorySwappiness");
    expect(resources.memoryBytes).toBe(64_000_000);
  });

  test("without swap accounting limits memory alone", () => {
    const { resources, warnings } = discardUnsupported(
      { memoryBytes: 64_000_000 },
      { ...ALL_V1, swap: false },
    );
    expect(resources).toEqual({ memoryBytes: 64_000_000, memorySwapBytes: -1 });
    expect(warnings[0]).toMatch(/Memory limited without swap\.$/);
  });

  test("warns of a container that nothing ends when memory runs out", () => {
    const { warnings } = discardUnsupported({ oomKillDisable: true }, ALL_V1);
    expect(warnings[0]).toMatch(/^OOM killer is disabled .* no memory limit is set/);
  });

  test("refuses CPUs and real-time where docker does", () => {
    expect(() => discardUnsupported({ nanoCpus: 1e9 }, NONE)).toThrow(/NanoCPUs can not be set/);
    expect(() => discardUnsupported({ cpuRealtimeRuntimeMicroseconds: 1 }, V2)).toThrow(
      /kernel does not support CPU real-time scheduler/,
    );
  });
});
