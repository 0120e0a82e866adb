import { describe, expect, test } from "bun:test";
import type { PublishedPort } from "./network.ts";
import { portElements } from "./port-elements.ts";
import {
  choosePorts,
  type PortBindings,
  portsClash,
  portTaken,
  singlePorts,
  validateBindings,
} from "./published-ports.ts";

function choose(bindings: PortBindings, taken: readonly number[] = []): PublishedPort[] {
  return choosePorts(bindings, {
    anyAddresses: ["0.0.0.0", "::"],
    anyPorts: () => [40_000, 40_001, 40_002],
    obstacle: ({ hostPort, hostIps }) =>
      taken.includes(hostPort) ? portTaken(hostIps[0] ?? "", hostPort, "x") : undefined,
  });
}

const range = (first: number, last: number, shift: number): PortBindings =>
  Object.fromEntries(
    Array.from({ length: last - first + 1 }, (_, index) => [
      `${first + index}/tcp`,
      [{ hostIp: "127.0.0.1", hostPort: String(first + index + shift) }],
    ]),
  );

describe("choosePorts()", () => {
  test("joins neighbours to ranges", () => {
    expect(choose(range(8000, 8999, 0))).toEqual([
      { protocol: "tcp", hostIp: "127.0.0.1", hostPort: 8000, containerPort: 8000, count: 1000 },
    ]);
    expect(choose({ ...range(80, 81, 100), ...range(83, 83, 100) })).toMatchObject([
      { hostPort: 180, count: 2 },
      { hostPort: 183, count: 1 },
    ]);
  });

  test("takes the same free port for both families, and another one for each", () => {
    const any = [{ hostIp: "", hostPort: "" }];
    expect(choose({ "80/tcp": any, "91/tcp": [], "92/udp": any }, [40_000])).toMatchObject([
      { hostIp: "0.0.0.0", hostPort: 40_001, containerPort: 80 },
      { hostIp: "::", hostPort: 40_001, containerPort: 80 },
      { hostIp: "0.0.0.0", hostPort: 40_002, containerPort: 91 },
      { hostIp: "::", hostPort: 40_002, containerPort: 91 },
      { protocol: "udp", hostIp: "0.0.0.0", hostPort: 40_001 },
      { protocol: "udp", hostIp: "::", hostPort: 40_001 },
    ]);
  });

  test("takes a free one of a range, and says who has it when none is", () => {
    const binding = { "80/tcp": [{ hostIp: "10.0.0.1", hostPort: "7000-7002" }] };
    expect(choose(binding, [7000, 7001])).toMatchObject([{ hostPort: 7002 }]);
    expect(() => choose(binding, [7000, 7001, 7002])).toThrow(
      "Bind for 10.0.0.1:7000 failed: port is already allocated by x",
    );
    const twice = [
      { hostIp: "", hostPort: "7000" },
      { hostIp: "", hostPort: "7000" },
    ];
    expect(() => choose({ "80/tcp": twice })).toThrow(/already allocated by this container/);
  });
});

test("ports clash where one address holds the other", () => {
  const port: PublishedPort = {
    protocol: "tcp",
    hostIp: "0.0.0.0",
    hostPort: 80,
    containerPort: 1,
    count: 10,
  };
  const clash = (hostIp: string, hostPort: number, protocol: "tcp" | "udp" = "tcp") =>
    portsClash(port, { protocol, hostIps: [hostIp], hostPort });
  expect(clash("127.0.0.1", 89)).toBeTrue();
  expect(clash("127.0.0.1", 90)).toBeFalse();
  expect(clash("::", 80)).toBeFalse();
  expect(clash("127.0.0.1", 80, "udp")).toBeFalse();
});

test("bindings that make no sense are refused", () => {
  for (const [port, hostIp, hostPort] of [
    ["80/icmp", "", ""],
    ["0/tcp", "", ""],
    ["80/tcp", "x", ""],
    ["80/tcp", "", "9-8"],
    ["80/tcp", "", "70000"],
  ] as const) {
    expect(() => validateBindings({ [port]: [{ hostIp, hostPort }] })).toThrow(/invalid/);
  }
  expect(singlePorts("80-82/udp")).toEqual(["80/udp", "81/udp", "82/udp"]);
});

describe("portElements()", () => {
  const endpoint = { ipv4: "10.0.0.2", ipv6: "fd00::2" };
  const elements = (...ports: Partial<PublishedPort>[]) =>
    portElements(
      endpoint,
      ports.map((port) => ({
        protocol: "tcp",
        hostIp: "0.0.0.0",
        hostPort: 8080,
        containerPort: 80,
        count: 1,
        ...port,
      })),
    );
  const hex = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString("hex");

  test("is one element for a port: of any address by its number, else by both", () => {
    const [open] = elements({}).get("open4") ?? [];
    expect(hex(open?.key)).toBe("060000001f900000");
    expect(open?.keyEnd).toBeUndefined();
    expect(hex(open?.value)).toBe("0a00000200500000");
    const at = elements({ hostIp: "127.0.0.1" });
    expect([...at.keys()]).toEqual(["ports4"]);
    expect(hex(at.get("ports4")?.[0]?.key)).toBe("060000007f0000011f900000");
  });

  test("is one element for a range that keeps its numbers, else one a port", () => {
    const kept = elements({ hostPort: 80, count: 1000 });
    expect([...kept.keys()]).toEqual(["ranges4"]);
    expect(kept.get("ranges4")).toHaveLength(1);
    const [element] = kept.get("ranges4") ?? [];
    expect([hex(element?.key), hex(element?.keyEnd), hex(element?.value)]).toEqual([
      "060000000000000000500000",
      "06000000ffffffff04370000",
      "0a000002",
    ]);
    expect(elements({ count: 1000 }).get("open4")).toHaveLength(1000);
  });

  test("leads no address to a container without one of its family", () => {
    const port = { hostIp: "::" };
    expect(elements(port).get("open6")).toHaveLength(1);
    const plain: PublishedPort = {
      protocol: "tcp",
      hostIp: "::",
      hostPort: 1,
      containerPort: 1,
      count: 1,
    };
    expect(portElements({ ipv4: "10.0.0.2", ipv6: "" }, [plain]).size).toBe(0);
  });
});
