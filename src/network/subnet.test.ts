import { describe, expect, test } from "bun:test";
import {
  addressBytes,
  addressOf,
  contains,
  formatAddress,
  formatSubnet,
  lastAddress,
  overlap,
  parseAddress,
  parseSubnet,
} from "./subnet.ts";

describe("addresses", () => {
  test("are read and written as RFC 5952 has it", () => {
    const texts: [written: string, shown: string][] = [
      ["10.0.0.1", "10.0.0.1"],
      ["255.255.255.255", "255.255.255.255"],
      ["::", "::"],
      ["::1", "::1"],
      ["fd00::", "fd00::"],
      ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
      ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
      ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
      ["::ffff:10.1.2.3", "::ffff:a01:203"],
    ];
    for (const [written, shown] of texts) {
      expect(formatAddress(parseAddress(written))).toBe(shown);
      expect(formatAddress(addressOf(addressBytes(parseAddress(written))))).toBe(shown);
    }
    for (const wrong of ["", "10.0.0", "10.0.0.256", "fe80::1%eth0", "g::"]) {
      expect(() => parseAddress(wrong)).toThrow(/invalid address/);
    }
  });
});

describe("subnets", () => {
  test("are named by their first address", () => {
    expect(formatSubnet(parseSubnet("10.1.2.3/24"))).toBe("10.1.2.0/24");
    expect(formatSubnet(parseSubnet("fd00:1::7/64"))).toBe("fd00:1::/64");
    expect(formatAddress(lastAddress(parseSubnet("10.1.2.0/23")))).toBe("10.1.3.255");
    for (const wrong of ["10.0.0.0", "10.0.0.0/33", "x/8", "10.0.0.0/"]) {
      expect(() => parseSubnet(wrong)).toThrow(/invalid CIDR address/);
    }
  });

  test("hold addresses and overlap others of their family", () => {
    const subnet = parseSubnet("10.1.2.0/24");
    expect(contains(subnet, parseAddress("10.1.2.255"))).toBeTrue();
    expect(contains(subnet, parseAddress("10.1.3.0"))).toBeFalse();
    expect(contains(subnet, parseAddress("::a01:200"))).toBeFalse();
    expect(overlap(subnet, parseSubnet("10.0.0.0/8"))).toBeTrue();
    expect(overlap(parseSubnet("10.1.2.128/25"), subnet)).toBeTrue();
    expect(overlap(subnet, parseSubnet("10.1.3.0/24"))).toBeFalse();
  });
});
