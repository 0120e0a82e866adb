import { describe, expect, test } from "bun:test";
import type { PublishedPort } from "./network.ts";
import { changedBindings, keptPorts, parsePortRemoval } from "./port-changes.ts";
import type { PortBindings } from "./published-ports.ts";

function port(hostIp: string, hostPort: number, containerPort: number, count = 1): PublishedPort {
  return { protocol: "tcp", hostIp, hostPort, containerPort, count };
}

const both = (hostPort: number, containerPort: number, count = 1): PublishedPort[] => [
  port("0.0.0.0", hostPort, containerPort, count),
  port("::", hostPort, containerPort, count),
];

const bindings: PortBindings = {
  "80/tcp": [
    { hostIp: "", hostPort: "" },
    { hostIp: "", hostPort: "8080" },
    { hostIp: "127.0.0.1", hostPort: "9000-9010" },
  ],
  "53/udp": [{ hostIp: "", hostPort: "53" }],
};
const current = [...both(40_000, 80), ...both(8080, 80), port("127.0.0.1", 9003, 80)];

function after(...removals: string[]): PortBindings {
  const absent = ({ text }: { text: string }): Error => new Error(`no ${text}`);
  const change = { add: {}, remove: removals.map(parsePortRemoval) };
  return changedBindings(bindings, change, current, absent);
}

describe("changedBindings()", () => {
  const [any, fixed, loopback] = bindings["80/tcp"] ?? [];
  const dns = bindings["53/udp"];
  for (const [removal, left] of [
    ["8080", [any, loopback]],
    ["40000", [fixed, loopback]],
    ["9003", [any, fixed]],
    ["127.0.0.1:9003:80/tcp", [any, fixed]],
    ["8000-8100", [any, loopback]],
  ] as const) {
    test(`${removal} goes, the others stay`, () => {
      const result = after(removal);
      expect(result["53/udp"]).toEqual(dns);
      expect(result["80/tcp"]?.toSorted(byText)).toEqual(
        left.filter((one) => !!one).toSorted(byText),
      );
    });
  }

  test("a container's port goes wherever it is published", () => {
    expect(after(":80")).toEqual({ "53/udp": dns ?? [] });
    expect(Object.keys(after("53/udp"))).toEqual(["80/tcp"]);
  });

  for (const removal of ["8081", "8080/udp", "8080:81", "10.0.0.1:8080", "53"]) {
    test(`${removal} is none of them`, () => expect(() => after(removal)).toThrow(`no ${removal}`));
  }

  test("what is added comes to what is there", () => {
    const add = { "81/tcp": [], "53/udp": [{ hostIp: "", hostPort: "54" }] };
    const changed = changedBindings(bindings, { add, remove: [] }, current, () => new Error("?"));
    expect(changed["81/tcp"]).toEqual([{ hostIp: "", hostPort: "" }]);
    expect(changed["53/udp"]).toHaveLength(2);
  });
});

function byText(one: object, other: object): number {
  return JSON.stringify(one).localeCompare(JSON.stringify(other));
}

describe("parsePortRemoval()", () => {
  test("reads addresses of both families", () => {
    expect(parsePortRemoval("[::1]:53/UDP")).toMatchObject({
      hostIp: "::1",
      host: [53, 53],
      container: null,
      protocol: "udp",
    });
  });
  for (const text of [
    "",
    "x",
    ":",
    "0",
    "90-80",
    "70000",
    "8080/icmp",
    "[x]:80",
    "1.2.3.4",
    "1.2.3.4:",
  ]) {
    test(`refuses ${JSON.stringify(text)}`, () =>
      expect(() => parsePortRemoval(text)).toThrow("invalid published port"));
  }
});

describe("keptPorts()", () => {
  test("who asks for a number has it, and the free one stays with who does not care", () => {
    const { kept, missing } = keptPorts(bindings, current);
    expect(kept).toHaveLength(5);
    expect(missing).toEqual({ "53/udp": bindings["53/udp"] ?? [] });
  });

  test("a range is looked at port by port", () => {
    const two = Object.fromEntries(
      [8000, 8002].map((number) => [`${number}/tcp`, [{ hostIp: "", hostPort: String(number) }]]),
    );
    const { kept, missing } = keptPorts(two, both(8000, 8000, 3));
    expect(kept.map(({ hostPort }) => hostPort)).toEqual([8000, 8002, 8000, 8002]);
    expect(missing).toEqual({});
  });
});
