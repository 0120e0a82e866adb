import { TiffinError } from "../base/error.ts";
import type { Resources } from "../cgroups/resources.ts";

/**
 * A container's limits with a change of some: what the change does not name stays. The rules are docker's (moby,
 * container/container_unix.go, UpdateContainer).
 * @throws conflict for a limit that says the same in other words as one that is set
 */
export function mergeResources(before: Resources, change: Resources): Resources {
  checkCpu(before, change);
  checkMemory(before, change);
  return { ...before, ...change };
}

function checkCpu(before: Resources, change: Resources): void {
  const isSet = (of: Resources, name: keyof Resources): boolean => (of[name] ?? 0) !== 0;
  const pairs = [
    ["nanoCpus", "cpuPeriodMicroseconds", "Nano CPUs", "CPU Period"],
    ["nanoCpus", "cpuQuotaMicroseconds", "Nano CPUs", "CPU Quota"],
    ["cpuPeriodMicroseconds", "nanoCpus", "CPU Period", "NanoCPUs"],
    ["cpuQuotaMicroseconds", "nanoCpus", "CPU Quota", "NanoCPUs"],
  ] as const;
  for (const [changed, set, changedName, setName] of pairs) {
    if (!isSet(change, changed) || !isSet(before, set)) continue;
    throw new TiffinError(
      "conflict",
      `Conflicting options: ${changedName} cannot be updated as ${setName} has already been set`,
    );
  }
}

function checkMemory(before: Resources, change: Resources): void {
  const { memoryBytes = 0, memorySwapBytes = 0 } = change;
  const total = before.memorySwapBytes ?? 0;
  if (total <= 0 || memorySwapBytes !== 0 || memoryBytes <= total) return;
  throw new TiffinError(
    "conflict",
    "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
    { hint: "Add --memory-swap" },
  );
}
