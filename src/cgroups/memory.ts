import { invalidArgument } from "../base/error.ts";
import type { Resources } from "./resources.ts";
import type { CgroupWrite } from "./write.ts";

/** docker's: less does not start anything useful. */
export const MINIMUM_MEMORY_BYTES: number = 6 * 1024 * 1024;

/** @throws invalid-argument, in docker's words */
export function validateMemory(resources: Resources): void {
  const { memoryBytes = 0, memorySwapBytes = 0, memoryReservationBytes = 0 } = resources;
  const { memorySwappiness } = resources;
  if (memoryBytes !== 0 && memoryBytes < MINIMUM_MEMORY_BYTES) {
    throw invalidArgument("Minimum memory limit allowed is 6MB", "Use a larger --memory");
  }
  if (memorySwapBytes < -1) {
    throw invalidArgument("Invalid value for --memory-swap: it is a size, or -1 for no limit");
  }
  if (memoryBytes > 0 && memorySwapBytes > 0 && memorySwapBytes < memoryBytes) {
    throw invalidArgument(
      "Minimum memoryswap limit should be larger than memory limit, see usage",
      "--memory-swap is memory and swap together",
    );
  }
  if (memoryBytes === 0 && memorySwapBytes > 0) {
    throw invalidArgument(
      "You should always set the Memory limit when using Memoryswap limit, see usage",
      "Add --memory",
    );
  }
  if (memoryReservationBytes > 0 && memoryReservationBytes < MINIMUM_MEMORY_BYTES) {
    throw invalidArgument("Minimum memory reservation allowed is 6MB");
  }
  if (memoryBytes > 0 && memoryReservationBytes > memoryBytes) {
    throw invalidArgument(
      "Minimum memory limit can not be less than memory reservation limit, see usage",
    );
  }
  if (
    memorySwappiness !== undefined &&
    memorySwappiness !== -1 &&
    !(memorySwappiness >= 0 && memorySwappiness <= 100)
  ) {
    throw invalidArgument(
      `Invalid value: ${memorySwappiness}, valid memory swappiness range is 0-100`,
    );
  }
}

/** Memory and swap together; docker's default is twice the memory. undefined: no limit was asked for. */
function memoryAndSwap(resources: Resources): number | undefined {
  const { memoryBytes = 0, memorySwapBytes = 0 } = resources;
  if (memorySwapBytes !== 0) return memorySwapBytes;
  return memoryBytes > 0 ? 2 * memoryBytes : undefined;
}

/** In the order that a new group needs: memory.memsw must never be below memory (Documentation/admin-guide/cgroup-v1/memory.rst). */
export function memoryV1(resources: Resources): CgroupWrite[] {
  const writes: CgroupWrite[] = [];
  const { memoryBytes = 0, memoryReservationBytes = 0, memorySwappiness = -1 } = resources;
  const add = (file: string, value: number, reason: string, optional = false): void => {
    writes.push({
      controller: "memory",
      file,
      value: String(value),
      reason,
      ...(optional && { optional }),
    });
  };
  if (memoryBytes > 0) {
    add("memory.limit_in_bytes", memoryBytes, `limit memory to ${memoryBytes} bytes`);
  }
  const total = memoryAndSwap(resources);
  if (total !== undefined && memoryBytes > 0) {
    // Missing without swap accounting: then swap is not limited, as docker warns.
    add("memory.memsw.limit_in_bytes", total, `limit memory and swap to ${total} bytes`, true);
  }
  if (memoryReservationBytes > 0) {
    add("memory.soft_limit_in_bytes", memoryReservationBytes, "reserve memory", true);
  }
  if (memorySwappiness >= 0) {
    add("memory.swappiness", memorySwappiness, "set how readily memory is swapped out", true);
  }
  if (resources.oomKillDisable === true) {
    add("memory.oom_control", 1, "let it wait for memory instead of being killed", true);
  }
  return writes;
}

/** v2 counts swap alone: memory.swap.max = memory and swap, less memory. There is no swappiness. */
export function memoryV2(resources: Resources): CgroupWrite[] {
  const writes: CgroupWrite[] = [];
  const { memoryBytes = 0, memoryReservationBytes = 0 } = resources;
  if (memoryBytes > 0) {
    writes.push({
      controller: "memory",
      file: "memory.max",
      value: String(memoryBytes),
      reason: `limit memory to ${memoryBytes} bytes`,
    });
    const total = memoryAndSwap(resources) ?? -1;
    writes.push({
      controller: "memory",
      file: "memory.swap.max",
      value: total === -1 ? "max" : String(total - memoryBytes),
      reason: "limit swap",
      optional: true,
    });
  }
  if (memoryReservationBytes > 0) {
    writes.push({
      controller: "memory",
      file: "memory.low",
      value: String(memoryReservationBytes),
      reason: "reserve memory",
    });
  }
  return writes;
}

/** Text of v1's memory.oom_control or v2's memory.events: how many processes the kernel killed for want of memory. */
export function oomKills(text: string): number {
  return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
}
