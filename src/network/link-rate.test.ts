import { describe, expect, test } from "bun:test";
import { hostRateMessages, insideRateMessages } from "./link-rate.ts";
import { interfaceMessages, linkMessages } from "./link-operations.ts";
import type { LinkRate } from "./network.ts";

const endpoint = {
  id: "",
  networkId: "",
  interfaceName: "eth0",
  interfaceIndex: 100,
  hostInterface: "tv0123456789ab",
  hostIndex: 5000,
  mac: "02:42:00:00:00:02",
  ipv4: "",
  ipv4PrefixLength: 0,
  gateway4: "",
  ipv6: "",
  ipv6PrefixLength: 0,
  gateway6: "",
  isDefault: true,
};
const link = (rate?: LinkRate) => ({ endpoint, on: 7, mtu: 0, ...(rate ? { rate } : {}) });
const [NEWLINK, NEWQDISC, NEWTFILTER] = [16, 36, 44];
/** Each message's type and the interface that it is about. */
const plan = (messages: ReturnType<typeof linkMessages>) =>
  messages.map(({ type, body }) => [type, Buffer.from(body).readInt32LE(4)]);

describe("the rate of a link", () => {
  test("is nothing where none was asked for", () => {
    expect(plan(linkMessages(link(), 1))).toEqual([[NEWLINK, 5000]]);
    expect(plan(interfaceMessages(link()))).toEqual([[NEWLINK, 100]]);
  });

  test("queues downloads at the host's end and uploads at the container's", () => {
    const rated = link({ down: 1e6, up: 2e6, upAt: "container" });
    expect(plan(linkMessages(rated, 1))).toEqual([
      [NEWLINK, 5000],
      [NEWQDISC, 5000],
    ]);
    expect(plan(interfaceMessages(rated))).toEqual([
      [NEWLINK, 100],
      [NEWQDISC, 100],
    ]);
  });

  test("queues uploads on the host for who could lift it inside", () => {
    const rated = link({ down: 0, up: 2e6, upAt: "host" });
    expect(plan(hostRateMessages(rated))).toEqual([
      [NEWLINK, 5001],
      [NEWQDISC, 5001],
      [NEWQDISC, 5000],
      [NEWTFILTER, 5000],
    ]);
    expect(hostRateMessages(rated)[0]?.attributes[0]).toEqual([3, "ti0123456789ab"]);
    expect(insideRateMessages(rated)).toEqual([]);
  });

  test("of one direction leaves the other alone", () => {
    expect(hostRateMessages(link({ down: 0, up: 1e6, upAt: "container" }))).toEqual([]);
    expect(insideRateMessages(link({ down: 1e6, up: 0, upAt: "container" }))).toEqual([]);
  });
});
