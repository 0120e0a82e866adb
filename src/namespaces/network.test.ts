import { describe, expect, test } from "bun:test";
import { register } from "../base/operation.ts";
import { defaultSysctls, planLoopback, planSysctls, validateSysctls } from "./network.ts";
import { limitsByTime, planOomScoreAdjust, planRlimits } from "./rlimits.ts";

const OWN = { ownNetwork: true, ownIpc: true, ownUts: true, ownUser: true };

describe("validateSysctls()", () => {
  test("accepts what belongs to the container's namespaces, in both spellings", () => {
    validateSysctls(
      {
        "net.ipv4.ip_forward": "1",
        "kernel.shmmax": "1",
        "fs.mqueue.msg_max": "1",
        "net/ipv6/conf/all/x": "1",
      },
      OWN,
    );
  });

  test.each<[string, Partial<typeof OWN>, RegExp]>([
    ["vm.swappiness", {}, /it is not in a separate kernel namespace/],
    ["kernel.panic", {}, /it is not in a separate kernel namespace/],
    [
      "net.ipv4.ip_forward",
      { ownNetwork: false },
      /with --network=host: the network namespace is not the container's own/,
    ],
    ["kernel.msgmax", { ownIpc: false }, /with --ipc=host/],
    ["kernel.hostname", {}, /use --hostname/],
    ["net.ipv4.../../x", {}, /that is not a name/],
    ["net/../kernel/panic", {}, /that is not a name/],
  ])("refuses %s", (name, context, message) => {
    expect(() => validateSysctls({ [name]: "1" }, { ...OWN, ...context })).toThrow(message);
  });
});

describe("planSysctls()", () => {
  const paths = (name: string): unknown =>
    planSysctls({ [name]: "1" }, { proc: register("proc"), mayFail: false }).map((step) =>
      "call" in step ? step.args[1] : null,
    )[0];

  test("turns names to paths, interfaces with dots included", () => {
    expect(paths("net.ipv4.conf.all.rp_filter")).toBe("sys/net/ipv4/conf/all/rp_filter");
    expect(paths("net/ipv4/conf/eth0.1/rp_filter")).toBe("sys/net/ipv4/conf/eth0.1/rp_filter");
    expect(paths("net.ipv4.conf.eth0/1.rp_filter")).toBe("sys/net/ipv4/conf/eth0.1/rp_filter");
  });
});

describe("defaultSysctls()", () => {
  test("opens low ports and pings where the network is the container's own", () => {
    expect(defaultSysctls(OWN)).toEqual({
      "net.ipv4.ip_unprivileged_port_start": "0",
      "net.ipv4.ping_group_range": "0 65535",
    });
    expect(defaultSysctls({ ...OWN, ownNetwork: false })).toEqual({});
  });
});

describe("planLoopback()", () => {
  test("sends one RTM_NEWLINK that sets IFF_UP on the first interface", () => {
    const send = planLoopback().find((step) => "call" in step && step.call === "sendto");
    const bytes =
      send !== undefined && "call" in send ? (send.args[1] as Uint8Array) : new Uint8Array();
    expect(Buffer.from(bytes).toString("hex")).toBe(
      "20000000" +
        "1000" +
        "0100" +
        "01000000" +
        "00000000" +
        "00000000" +
        "01000000" +
        "01000000" +
        "01000000",
    );
  });
});

describe("limitsByTime()", () => {
  const early = { name: "nofile", soft: 2000, hard: -1 };
  const core = { name: "core", soft: 0, hard: 0 };

  test("leaves a launch the descriptors that it needs", () => {
    expect(limitsByTime([early, core])).toEqual({ early: [early, core], late: [] });
    const low = { name: "nofile", soft: 10, hard: 20 };
    expect(limitsByTime([core, low])).toEqual({ early: [core], late: [low] });
    const soft = { name: "nofile", soft: 10, hard: 1_000_000 };
    expect(limitsByTime([soft])).toEqual({ early: [{ ...soft, soft: 1024 }], late: [soft] });
  });
});

describe("planRlimits()", () => {
  test("sets both values, without limit for -1", () => {
    expect(
      planRlimits([{ name: "nofile", soft: 1024, hard: -1 }], { register: "pid" })[0],
    ).toMatchObject({
      call: "prlimit64",
      args: [
        { register: "pid" },
        7,
        {
          struct: [
            [8, 1024n],
            [8, 0xffffffffffffffffn],
          ],
        },
        null,
      ],
    });
  });

  test("refuses unknown names, and soft limits above hard ones", () => {
    expect(() => planRlimits([{ name: "files", soft: 1, hard: 1 }], 0)).toThrow(
      /there is no such limit/,
    );
    expect(() => planRlimits([{ name: "nofile", soft: 2, hard: 1 }], 0)).toThrow(
      /soft limit 2 is above/,
    );
    expect(() => planRlimits([{ name: "nofile", soft: -1, hard: 1 }], 0)).toThrow(
      /above the hard limit 1/,
    );
  });
});

describe("planOomScoreAdjust()", () => {
  test("takes -1000 to 1000, and does nothing for 0", () => {
    expect(planOomScoreAdjust(0)).toEqual([]);
    expect(planOomScoreAdjust(-1000)).toHaveLength(2);
    expect(() => planOomScoreAdjust(1001)).toThrow(/must be between -1000 and 1000/);
  });
});
