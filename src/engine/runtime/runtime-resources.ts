import type { SpecDeviceRule, SpecResources } from "../../base/runtime-spec.ts";
import { bandwidth } from "../../cgroups/cpu.ts";
import type { DeviceRule, Resources } from "../../cgroups/resources.ts";

/**
 * Limits as a runtime takes them. The engine sets all of them on the container's groups itself (what a runtime's group has
 * already); a runtime with a machine of its own (kata, runsc) needs to know them too.
 */
export function runtimeResources(
  resources: Resources,
  devices: readonly DeviceRule[],
): SpecResources {
  return {
    devices: deviceRules(devices),
    ...unlessEmpty("memory", {
      limit: resources.memoryBytes,
      swap: resources.memoryBytes === undefined ? undefined : resources.memorySwapBytes,
      reservation: resources.memoryReservationBytes,
    }),
    ...unlessEmpty("cpu", {
      shares: resources.cpuShares,
      ...bandwidth(resources),
      cpus: resources.cpusetCpus,
      mems: resources.cpusetMems,
    }),
    ...unlessEmpty("pids", { limit: resources.pidsLimit }),
  };
}

/** All are denied first, as the specification's order wants it: the last rule that fits decides. */
function deviceRules(rules: readonly DeviceRule[]): SpecDeviceRule[] {
  return [
    { allow: false, access: "rwm" },
    ...rules.map(({ allow, type, major, minor, access }) => ({
      allow,
      ...(type === "a" ? {} : { type }),
      ...(major < 0 ? {} : { major }),
      ...(minor < 0 ? {} : { minor }),
      access,
    })),
  ];
}

/** `-1`, 0 and "" are no limit, which is what stands when nothing is said. */
function unlessEmpty(
  key: string,
  fields: Readonly<Record<string, number | string | undefined>>,
): Record<string, object> {
  const set = Object.entries(fields).filter(
    ([name, value]) =>
      value !== undefined && value !== "" && value !== 0 && (value !== -1 || name === "swap"),
  );
  return set.length === 0 ? {} : { [key]: Object.fromEntries(set) };
}
