import { describe, expect, test } from "bun:test";
import { formatNetworkRate, parseNetworkRate } from "./network-rate.ts";

describe("a network rate", () => {
  const read: [string, { down: number; up: number } | null, string][] = [
    ["20mbit", { down: 20e6, up: 20e6 }, "20mbit"],
    ["20mbit/10mbit", { down: 20e6, up: 10e6 }, "20mbit/10mbit"],
    ["1.5Gbit/64Kbit", { down: 1.5e9, up: 64e3 }, "1500mbit/64kbit"],
    ["9001/9001bit", { down: 9001, up: 9001 }, "9001bit"],
    ["0/1mbit", { down: 0, up: 1e6 }, "0/1mbit"],
    ["8mbit/0", { down: 8e6, up: 0 }, "8mbit/0"],
    ["0", null, "0"],
    ["0/0bit", null, "0"],
  ];
  test.each(read)("%s is read and written again", (text, rate, written) => {
    expect(parseNetworkRate(text)).toEqual(rate);
    expect(formatNetworkRate(rate)).toBe(written);
    expect(parseNetworkRate(written)).toEqual(rate);
  });

  test.each([
    "",
    "/",
    "fast",
    "20mb",
    "20mbps",
    "-1mbit",
    "1mbit/",
    "/1mbit",
    "1/2/3",
    "1 mbit",
    "1e3",
  ])("%p is refused", (text) => {
    expect(() => parseNetworkRate(text)).toThrow(`invalid network rate "${text}"`);
  });

  test.each(["1bit", "7999", "1mbit/1bit", "1001gbit"])("%p is out of range", (text) => {
    expect(() => parseNetworkRate(text)).toThrow("between 8kbit and 1000gbit");
  });
});
