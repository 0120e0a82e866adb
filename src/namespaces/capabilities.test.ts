import { describe, expect, test } from "bun:test";
import {
  CAPABILITY_NAMES,
  type CapabilityRequest,
  DEFAULT_CAPABILITIES,
  capabilityNames,
  maskOf,
  planBoundingSet,
  planCapabilitySets,
  resolveCapabilities,
} from "./capabilities.ts";

const ALL = (1n << 41n) - 1n;
const FACTS = { lastCapability: 40, available: ALL };

function resolve(request: Partial<CapabilityRequest>, facts = FACTS): string[] {
  const full = { capAdd: [], capDrop: [], privileged: false, ...request };
  return capabilityNames(resolveCapabilities(full, facts)).map((name) => name.slice(4));
}

describe("resolveCapabilities()", () => {
  test("gives docker's fourteen by default", () => {
    expect(maskOf(DEFAULT_CAPABILITIES)).toBe(0xa80425fbn);
    expect(resolve({})).toHaveLength(14);
  });

  test("takes names in any case, with and without CAP_", () => {
    expect(
      resolve({ capDrop: ["all"], capAdd: ["net_admin", "CAP_SYS_TIME", "Cap_Chown"] }),
    ).toEqual(["CHOWN", "NET_ADMIN", "SYS_TIME"]);
  });

  test("adds after it drops, and starts from all or from none", () => {
    expect(resolve({ capAdd: ["KILL"], capDrop: ["KILL"] })).toContain("KILL");
    expect(resolve({ capAdd: ["ALL"], capDrop: ["SYS_ADMIN"] })).toHaveLength(40);
    expect(resolve({ capDrop: ["ALL"] })).toEqual([]);
    expect(resolve({ capAdd: ["ALL"], capDrop: ["ALL"] })).toHaveLength(41);
  });

  test("gives a privileged container all that can be had", () => {
    const available = ALL & ~maskOf(["CAP_SYS_RESOURCE"]);
    expect(resolve({ privileged: true, capDrop: ["ALL"] })).toHaveLength(41);
    expect(resolve({ privileged: true }, { ...FACTS, available })).not.toContain("SYS_RESOURCE");
  });

  test("keeps to what the kernel knows, and what was asked for by name stays to fail with a hint", () => {
    expect(resolve({ capAdd: ["ALL"] }, { lastCapability: 37, available: ALL })).toHaveLength(38);
    const available = ALL & ~maskOf(["CAP_SYS_RESOURCE"]);
    expect(resolve({ capAdd: ["SYS_RESOURCE"] }, { ...FACTS, available })).toContain(
      "SYS_RESOURCE",
    );
  });

  test("refuses unknown names", () => {
    expect(() => resolve({ capAdd: ["NET_ADMIM"] })).toThrow(
      /invalid CapAdd: unknown capability: "CAP_NET_ADMIM"/,
    );
    expect(() => resolve({ capDrop: [""] })).toThrow(/invalid CapDrop: unknown capability: "CAP_"/);
  });
});

describe("plans", () => {
  test("drop each capability that is not in the set, by number", () => {
    const plan = planBoundingSet({
      bounding: maskOf(["CAP_CHOWN", "CAP_BPF"]),
      isRoot: true,
      lastCapability: 40,
    });
    expect(plan).toHaveLength(39);
    expect(plan.map((step) => "call" in step && step.args[1])).not.toContain(
      CAPABILITY_NAMES.indexOf("CAP_BPF"),
    );
  });

  test("give another user than root no capability", () => {
    const bounding = maskOf(DEFAULT_CAPABILITIES);
    const data = (isRoot: boolean): string => {
      const step = planCapabilitySets({ bounding, isRoot, lastCapability: 40 }).at(-1);
      const bytes = step !== undefined && "call" in step ? step.args[1] : undefined;
      return Buffer.from(bytes as Uint8Array).toString("hex");
    };
    expect(data(true)).toBe("fb2504a8fb2504a800000000000000000000000000000000");
    expect(data(false)).toBe("0".repeat(48));
  });
});
