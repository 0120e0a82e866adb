import { describe, expect, test } from "bun:test";
import { CLONE } from "./flags.ts";
import { NETLINK_ROUTE } from "./netlink.ts";
import { NetlinkSocket } from "./netlink-socket.ts";
import {
  addElements,
  applyChanges,
  hasTable,
  concatenate,
  deleteElements,
  deleteTable,
  FIELD,
  NETLINK_NETFILTER,
  newBaseChain,
  newSet,
  newTable,
} from "./nftables.ts";
import {
  compare,
  ctHas,
  destination,
  fromMap,
  masquerade,
  meta,
  payload,
  toThisHost,
  verdict,
} from "./nft-expression.ts";
import { listElements } from "./nft-listing.ts";
import { decodeLink, getLink, getLinks, linkUp, newAddress, newBridge } from "./rtnetlink.ts";
import { syscall } from "./syscall.ts";

const isRoot = process.getuid?.() === 0;

/** In a network namespace that ends with the test. */
function inOwnNetwork(work: () => void): void {
  const home = syscall("openat", -100, "/proc/thread-self/ns/net", 0, 0);
  syscall("unshare", CLONE.NEWNET);
  try {
    work();
  } finally {
    syscall("setns", home, CLONE.NEWNET);
    syscall("close", home);
  }
}

describe.if(isRoot)("nf_tables", () => {
  test("takes a table with a map of port ranges, its chains, and single elements", () => {
    inOwnNetwork(() => {
      const socket = NetlinkSocket.open(NETLINK_NETFILTER);
      const ports = {
        name: "ports",
        key: [FIELD.protocol, FIELD.ipv4, FIELD.port],
        ranges: true,
        value: [FIELD.ipv4, FIELD.port],
      };
      applyChanges(
        socket,
        "tiffin-test",
        [
          newTable,
          newSet(ports, 1),
          ...newBaseChain({
            name: "in",
            type: "nat",
            hook: "prerouting",
            priority: -100,
            rules: [
              [
                ...toThisHost(),
                meta("nfproto"),
                compare("is", Uint8Array.of(2)),
                meta("l4proto"),
                payload("network", { offset: 16, length: 4, word: 1 }),
                payload("transport", { offset: 2, length: 2, word: 2 }),
                fromMap("ports"),
                destination(2, 1),
              ],
            ],
          }),
          ...newBaseChain({
            name: "out",
            type: "nat",
            hook: "postrouting",
            priority: 100,
            rules: [[...ctHas("status", 0x20), masquerade()], [verdict("accept")]],
          }),
        ],
        "make a table",
      );
      const port = (number: number): Uint8Array => Uint8Array.of(number >> 8, number & 255);
      const element = (number: number) => ({
        key: concatenate(Uint8Array.of(6), Uint8Array.of(0, 0, 0, 0), port(number)),
        keyEnd: concatenate(Uint8Array.of(6), Uint8Array.of(255, 255, 255, 255), port(number)),
        value: concatenate(Uint8Array.of(10, 0, 0, 2), port(80)),
      });
      const elements = Array.from({ length: 1000 }, (_, index) => element(8000 + index));
      applyChanges(socket, "tiffin-test", addElements("ports", elements), "add ports");
      expect(hasTable(socket, "tiffin-test")).toBeTrue();
      const list = { family: "inet", table: "tiffin-test", set: "ports" } as const;
      expect(listElements(socket, list)).toHaveLength(1000);
      applyChanges(
        socket,
        "tiffin-test",
        deleteElements("ports", elements.slice(1)),
        "take ports away",
      );
      const [left] = listElements(socket, list) ?? [];
      expect(left?.key).toEqual(elements[0]?.key);
      expect(left?.keyEnd).toEqual(elements[0]?.keyEnd);
      expect(left?.value).toEqual(elements[0]?.value);
      expect(listElements(socket, { ...list, set: "other" })).toBeUndefined();
      expect(() =>
        applyChanges(
          socket,
          "tiffin-test",
          elements.slice(1, 4).flatMap((gone) => deleteElements("ports", [gone])),
          "take them twice",
        ),
      ).toThrow(/Cannot take them twice: netlink: ENOENT/);
      applyChanges(socket, "tiffin-test", [newTable, deleteTable], "remove the table");
      expect(hasTable(socket, "tiffin-test")).toBeFalse();
      socket.close();
    });
  });
});

describe.if(isRoot)("rtnetlink", () => {
  test("makes a bridge with addresses, and finds it again", () => {
    inOwnNetwork(() => {
      const socket = NetlinkSocket.open(NETLINK_ROUTE);
      const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
      socket.change([linkUp(1), newBridge({ name: "tf-test", mac, mtu: 1400 })], "make a bridge");
      const link = decodeLink(socket.ask(getLink("tf-test"), "find the bridge"));
      expect(link).toMatchObject({ name: "tf-test", kind: "bridge", isUp: true, master: 0 });
      socket.change(
        [
          newAddress(link.index, Uint8Array.of(10, 9, 0, 1), 24),
          newAddress(link.index, Buffer.from("fd090000000000000000000000000001", "hex"), 64),
        ],
        "give it addresses",
      );
      expect(socket.dump(getLinks(), "list links").map((one) => decodeLink(one).name)).toContain(
        "tf-test",
      );
      expect(() =>
        socket.change([newBridge({ name: "tf-test", mac, mtu: 0 })], "make it again"),
      ).toThrow(/Cannot make it again: netlink: EEXIST/);
      socket.close();
    });
  });
});
