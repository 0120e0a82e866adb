import { describe, expect, test } from "bun:test";
import {
  IFLA,
  NETLINK_ROUTE,
  NLMSG,
  NLM_F,
  RTM,
  addressBody,
  checkAcknowledged,
  decodeAttributes,
  decodeMessages,
  encodeMessages,
  linkBody,
} from "./netlink.ts";
import { syscall } from "./syscall.ts";

describe("encodeMessages()", () => {
  test("nests attributes and pads everything to 4 bytes", () => {
    const bytes = encodeMessages([
      {
        type: RTM.NEWLINK,
        flags: NLM_F.ACK | NLM_F.CREATE,
        body: linkBody({ index: 0 }),
        attributes: [
          [IFLA.IFNAME, "br0"],
          [IFLA.LINKINFO, [[1, "bridge"]]],
          [IFLA.MTU, 1500],
        ],
      },
    ]);
    expect(Buffer.from(bytes).toString("hex")).toBe(
      ["40000000", "1000", "0504", "01000000", "00000000", "00".repeat(16)].join("") +
        [
          "0800",
          "0300",
          "62723000",
          "1000",
          "1280",
          "0b00",
          "0100",
          "62726964676500",
          "00",
          "0800",
          "0400",
          "dc050000",
        ].join(""),
    );
  });

  test("numbers messages of one send", () => {
    const message = { type: RTM.GETLINK, flags: 0, body: linkBody({ index: 1 }), attributes: [] };
    const decoded = decodeMessages(encodeMessages([message, message], 7));
    expect(decoded.map((one) => one.sequence)).toEqual([7, 8]);
  });
});

describe("decodeMessages()", () => {
  test("refuses bytes that end within a message", () => {
    const bytes = encodeMessages([
      { type: 16, flags: 0, body: linkBody({ index: 1 }), attributes: [] },
    ]);
    expect(() => decodeMessages(bytes.subarray(0, 30))).toThrow(
      /it wants 32 bytes and 30 are left/,
    );
  });

  test("reads the kernel's answers: the loopback interface, and an error for one that is not there", () => {
    const socket = syscall("socket", 16, 3 | 0o2000000, NETLINK_ROUTE);
    try {
      const ask = (index: number): ReturnType<typeof decodeMessages> => {
        const request = encodeMessages([
          { type: RTM.GETLINK, flags: 0, body: linkBody({ index }), attributes: [] },
        ]);
        const kernel = new Uint8Array(12);
        kernel[0] = 16;
        syscall("sendto", socket, request, request.length, 0, kernel, 12);
        const buffer = new Uint8Array(16384);
        return decodeMessages(
          buffer.subarray(0, syscall("recvfrom", socket, buffer, buffer.length, 0, null, null)),
        );
      };
      const [link] = ask(1);
      expect(link?.type).toBe(RTM.NEWLINK);
      const name = decodeAttributes(link?.payload ?? new Uint8Array(), 16).get(IFLA.IFNAME);
      expect(Buffer.from(name ?? []).toString()).toBe("lo\0");
      const refused = ask(99_999);
      expect(refused[0]?.type).toBe(NLMSG.ERROR);
      expect(() => checkAcknowledged(refused, "find the interface")).toThrow(
        /Cannot find the interface: netlink: ENODEV/,
      );
    } finally {
      syscall("close", socket);
    }
  });
});

describe("bodies", () => {
  test("have the kernel's sizes", () => {
    expect(linkBody({ index: 2, flags: 1, change: 1 })).toHaveLength(16);
    expect(addressBody({ family: 2, prefixLength: 16, index: 3 })).toHaveLength(8);
  });
});
