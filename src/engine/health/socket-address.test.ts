import { expect, test } from "bun:test";
import { socketAddress } from "./socket-address.ts";

test("an IPv4 address is family, port and four bytes", () => {
  expect(socketAddress("10.1.2.3", 0x1234).toString("hex")).toBe(
    "020012340a0102030000000000000000",
  );
});

test("an IPv6 address is written out, in whichever form it comes", () => {
  const hex = (address: string): string => socketAddress(address, 80).toString("hex").slice(16, 48);
  expect(hex("::")).toBe("0".repeat(32));
  expect(hex("::1")).toBe(`${"0".repeat(31)}1`);
  expect(hex("fe80::1:2")).toBe("fe800000000000000000000000010002");
  expect(hex("1:2:3:4:5:6:7:8")).toBe("00010002000300040005000600070008");
  expect(hex("::ffff:1.2.3.4")).toBe("00000000000000000000ffff01020304");
  expect(socketAddress("::1", 80)).toHaveLength(28);
});
