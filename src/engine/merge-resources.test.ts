import { describe, expect, test } from "bun:test";
import { mergeResources } from "./merge-resources.ts";

describe("a change of limits", () => {
  test("leaves what it does not name", () => {
    expect(mergeResources({ cpuShares: 512, pidsLimit: 10 }, { pidsLimit: -1 })).toEqual({
      cpuShares: 512,
      pidsLimit: -1,
    });
  });

  test("cannot say in other words what is set", () => {
    const half = { nanoCpus: 500_000_000 };
    const quota = { cpuQuotaMicroseconds: 50_000 };
    expect(() => mergeResources(half, quota)).toThrow(
      "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
    );
    expect(() => mergeResources(quota, half)).toThrow(
      "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set",
    );
    expect(mergeResources(half, { nanoCpus: 1 })).toEqual({ nanoCpus: 1 });
  });

  test("cannot raise memory above memory and swap alone", () => {
    const before = { memoryBytes: 64 << 20, memorySwapBytes: 128 << 20 };
    expect(() => mergeResources(before, { memoryBytes: 200 << 20 })).toThrow(/memoryswap/);
    expect(mergeResources(before, { memoryBytes: 128 << 20 })).toMatchObject({
      memoryBytes: 128 << 20,
      memorySwapBytes: 128 << 20,
    });
    const unlimited = { memoryBytes: 64 << 20, memorySwapBytes: -1 };
    expect(mergeResources(unlimited, { memoryBytes: 1 << 30 })).toMatchObject({
      memorySwapBytes: -1,
    });
  });
});
