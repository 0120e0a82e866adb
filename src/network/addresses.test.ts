import { describe, expect, test } from "bun:test";
import { AddressAllocator } from "./address-allocator.ts";
import { chooseSubnet, localIpv6Subnet } from "./choose-subnet.ts";
import { completePool } from "./complete-pool.ts";
import { formatSubnet, parseSubnet } from "./subnet.ts";

const pool = (subnet: string, more = {}) =>
  completePool({ subnet, gateway: "", range: "", auxiliary: {}, ...more });

describe("completePool()", () => {
  test("gives a subnet its first address as the gateway", () => {
    expect(pool("10.1.2.9/24")).toMatchObject({ subnet: "10.1.2.0/24", gateway: "10.1.2.1" });
    expect(pool("fd00::/64").gateway).toBe("fd00::1");
  });

  test("refuses what lies outside of it", () => {
    expect(() => pool("10.1.2.0/24", { gateway: "10.1.3.1" })).toThrow(/gateway 10.1.3.1/);
    expect(() => pool("10.1.2.0/24", { range: "10.1.0.0/16" })).toThrow(/range of addresses/);
    expect(() => pool("10.1.2.0/24", { auxiliary: { a: "10.9.9.9" } })).toThrow(/address a/);
    expect(() => pool("10.1.2.0/31")).toThrow(/no room/);
  });
});

describe("AddressAllocator", () => {
  test("gives each address once, and one that was freed as late as possible", () => {
    const addresses = new AddressAllocator(pool("10.1.2.0/29"));
    const taken = [1, 2, 3, 4, 5].map(() => addresses.take());
    expect(taken).toEqual(["10.1.2.2", "10.1.2.3", "10.1.2.4", "10.1.2.5", "10.1.2.6"]);
    expect(() => addresses.take()).toThrow(/no available IPv4 addresses in the pool 10.1.2.0\/29/);
    addresses.free("10.1.2.4");
    expect(addresses.take()).toBe("10.1.2.4");
    addresses.free("10.1.2.2");
    addresses.free("10.1.2.6");
    expect(addresses.take()).toBe("10.1.2.6");
  });

  test("keeps to its range and passes over what is others'", () => {
    const asked = pool("10.1.2.0/24", {
      range: "10.1.2.128/30",
      auxiliary: { router: "10.1.2.129" },
    });
    const addresses = new AddressAllocator(asked);
    addresses.restore("10.1.2.130");
    expect([addresses.take(), addresses.take()]).toEqual(["10.1.2.128", "10.1.2.131"]);
    expect(() => addresses.take()).toThrow(/no available/);
    expect(addresses.claim("10.1.2.7")).toBe("10.1.2.7");
    expect(() => addresses.claim("10.1.2.7")).toThrow(/already in use/);
    expect(() => addresses.claim("10.1.2.1")).toThrow(/already in use/);
    expect(() => addresses.claim("10.1.3.7")).toThrow(/no configured subnet contains/);
  });
});

describe("chooseSubnet()", () => {
  test("passes over every subnet that is taken, and wraps around from its seed", () => {
    const taken = [parseSubnet("10.213.0.0/24"), parseSubnet("10.213.1.128/25")];
    const choose = (seed: number) => formatSubnet(chooseSubnet({ pool: "user", taken, seed }));
    expect(choose(0)).toBe("10.213.2.0/24");
    expect(choose(255)).toBe("10.213.255.0/24");
    expect(choose(256)).toBe("10.213.2.0/24");
  });

  test("goes to the next pool when a route covers the first, and says when all are taken", () => {
    const all = ["10.0.0.0/8", "192.168.0.0/16"].map(parseSubnet);
    const taken = all.slice(0, 1);
    expect(formatSubnet(chooseSubnet({ pool: "user", taken, seed: 0 }))).toBe("192.168.128.0/24");
    expect(() => chooseSubnet({ pool: "user", taken: all, seed: 0 })).toThrow(/fully subnetted/);
  });
});

test("IPv6 subnets are unique local ones, the same for a network every time", () => {
  const subnet = formatSubnet(localIpv6Subnet("engine", "a"));
  expect(subnet).toMatch(/^fd[0-9a-f:]+::\/64$/);
  expect(formatSubnet(localIpv6Subnet("engine", "a"))).toBe(subnet);
  expect(formatSubnet(localIpv6Subnet("engine", "b"))).not.toBe(subnet);
});
