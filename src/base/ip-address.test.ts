import { expect, test } from "bun:test";
import { isIP } from "node:net";
import { ipVersion } from "./ip-address.ts";

const texts = [
  "1.2.3.4",
  "0.0.0.0",
  "255.255.255.255",
  "256.1.1.1",
  "1.2.3",
  "1.2.3.4.5",
  "01.2.3.4",
  "1.2.3.04",
  "a.b.c.d",
  "",
  " 1.2.3.4",
  "::",
  "::1",
  "fe80::1",
  "2001:db8::8a2e:370:7334",
  "1:2:3:4:5:6:7:8",
  "1:2:3:4:5:6:7:8:9",
  "1::2::3",
  ":1",
  "::ffff:1.2.3.4",
  "::1.2.3",
  "g::1",
  "12345::",
  "1]",
  "::1/64",
  "example.com",
];

test.each(texts)("ipVersion(%p) says what Node's isIP says", (text) => {
  expect(ipVersion(text)).toBe(isIP(text) as 0 | 4 | 6);
});
