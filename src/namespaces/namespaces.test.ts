import { describe, expect, test } from "bun:test";
import { CLONE } from "../kernel/flags.ts";
import {
  type JoinTarget,
  type NamespaceModes,
  type NamespacePlan,
  namedContainers,
  planHostname,
  planJoins,
  planTimeNamespace,
  resolveNamespaces,
  validateModes,
} from "./namespaces.ts";

const MODES: NamespaceModes = {
  pidMode: "",
  ipcMode: "",
  utsMode: "",
  usernsMode: "",
  cgroupnsMode: "",
  networkMode: "default",
  privileged: false,
  hostname: "",
  domainname: "",
  timeOffsetSeconds: 0,
  cgroupVersion: 2,
};
const { NEWNS, NEWUSER, NEWPID, NEWIPC, NEWUTS, NEWNET } = CLONE;
const OWN: JoinTarget = { id: "aaaaaaaaaaaaaaaa", idBase: 0x70000000, ipcShareable: true };
const HOST: JoinTarget = { id: "bbbbbbbbbbbbbbbb", idBase: 0, ipcShareable: false };

function resolve(
  modes: Partial<NamespaceModes>,
  targets: Record<string, JoinTarget> = {},
): NamespacePlan {
  return resolveNamespaces({ ...MODES, ...modes }, new Map(Object.entries(targets)));
}

describe("resolveNamespaces()", () => {
  test("makes everything new by default, the user namespace included", () => {
    const plan = resolve({});
    expect(plan.cloneFlags).toBe(NEWNS | NEWUSER | NEWPID | NEWIPC | NEWUTS | NEWNET);
    expect(plan).toMatchObject({
      userNamespace: "own",
      network: "own",
      newCgroup: true,
      joins: [],
      warnings: [],
    });
  });

  test("leaves out what the host shares", () => {
    const plan = resolve({
      usernsMode: "host",
      pidMode: "host",
      ipcMode: "host",
      utsMode: "host",
      networkMode: "host",
    });
    expect(plan.cloneFlags).toBe(NEWNS);
    expect(plan).toMatchObject({
      userNamespace: "host",
      network: "host",
      hostPid: true,
      ipc: "host",
      uts: "host",
    });
  });

  test.each([[{ privileged: true }], [{ pidMode: "host" }], [{ networkMode: "host" }]])(
    "takes the host's user namespace for %p, and says so",
    (modes) => {
      const plan = resolve(modes);
      expect(plan.userNamespace).toBe("host");
      expect(plan.warnings[0]).toMatch(/implies --userns=host: root inside is root on the host/);
      expect(() => resolve({ ...modes, usernsMode: "private" })).toThrow(/with a user namespace/);
    },
  );

  test("enters the other container's user namespace first, once, and makes the rest in it", () => {
    const plan = resolve({ networkMode: "container:web", pidMode: "container:web" }, { web: OWN });
    expect(plan.cloneFlags).toBe(NEWNS | NEWIPC | NEWUTS);
    expect(plan.userNamespaceOf).toBe(OWN);
    expect(plan.joins).toEqual([{ target: OWN, flags: NEWUSER | NEWNET | NEWPID }]);
    const two = resolve(
      { networkMode: "container:a", pidMode: "container:b" },
      { a: OWN, b: { ...OWN, id: "cccccccccccccccc" } },
    );
    expect(two.joins.map((join) => join.flags)).toEqual([NEWUSER | NEWNET, NEWPID]);
  });

  test("joins from the host's user namespace without entering another", () => {
    const plan = resolve({ networkMode: "container:web", usernsMode: "host" }, { web: OWN });
    expect(plan.joins).toEqual([{ target: OWN, flags: NEWNET }]);
    expect(plan.userNamespace).toBe("host");
  });

  test("goes along to the host's user namespace, unless that is forbidden", () => {
    const plan = resolve({ networkMode: "container:web" }, { web: HOST });
    expect(plan.userNamespace).toBe("host");
    expect(plan.warnings[0]).toMatch(/implies --userns=host, since that one has it/);
    expect(() =>
      resolve({ networkMode: "container:web", usernsMode: "private" }, { web: HOST }),
    ).toThrow(/it is in the host's user namespace/);
  });

  test("cannot be in two user namespaces", () => {
    const targets = { a: OWN, b: { ...OWN, id: "d".repeat(16), idBase: 0x70010000 } };
    expect(() => resolve({ networkMode: "container:a", pidMode: "container:b" }, targets)).toThrow(
      /they are in different user namespaces/,
    );
  });

  test("joins only IPC that is shareable, and only who runs", () => {
    expect(() => resolve({ ipcMode: "container:web" }, { web: HOST })).toThrow(
      /it is not shareable/,
    );
    expect(() => resolve({ ipcMode: "container:gone" })).toThrow(/no such container runs/);
    expect(resolve({ ipcMode: "container:web" }, { web: OWN }).ipc).toBe("shared");
    expect(resolve({ ipcMode: "shareable" }).ipc).toBe("shareable");
    expect(resolve({ ipcMode: "none" }).ipc).toBe("none");
  });

  test("has a cgroup namespace as docker does, and always where a user namespace needs one", () => {
    expect(resolve({ usernsMode: "host", cgroupVersion: 1 }).newCgroup).toBe(false);
    expect(resolve({ usernsMode: "host", cgroupVersion: 2 }).newCgroup).toBe(true);
    expect(resolve({ cgroupVersion: 1 }).newCgroup).toBe(true);
    expect(resolve({ cgroupnsMode: "host" }).newCgroup).toBe(false);
  });
});

describe("validateModes()", () => {
  test.each<[Partial<NamespaceModes>, RegExp]>([
    [
      { hostname: "h", networkMode: "container:x" },
      /--hostname with --network=container: conflicting options/,
    ],
    [{ hostname: "h", utsMode: "host" }, /--hostname with --uts=host: conflicting options/],
    [{ pidMode: "private" }, /--pid "private": it is none of host, container:NAME/],
    [{ pidMode: "container:" }, /the container's name is missing/],
    [{ ipcMode: "x" }, /--ipc "x"/],
    [{ utsMode: "container:x" }, /--uts "container:x"/],
    [{ usernsMode: "keep-id" }, /--userns "keep-id": it is none of host, private/],
    [{ cgroupnsMode: "x" }, /--cgroupns "x"/],
  ])("refuses %p", (modes, message) => {
    expect(() => validateModes({ ...MODES, ...modes })).toThrow(message);
  });

  test("takes any other network for the name of one", () => {
    validateModes({ ...MODES, networkMode: "backend" });
  });
});

describe("namedContainers()", () => {
  test("names each container once", () => {
    const modes = {
      ...MODES,
      networkMode: "container:a",
      pidMode: "container:a",
      ipcMode: "container:b",
    };
    expect(namedContainers(modes)).toEqual(["a", "b"]);
  });
});

describe("plans", () => {
  test("enter by the descriptor of the other container's process", () => {
    const joins = [{ target: OWN, flags: NEWUSER | NEWNET }];
    const [step] = planJoins(joins, new Map([[OWN.id, { register: "other" }]]));
    expect(step).toMatchObject({ call: "setns", args: [{ register: "other" }, NEWUSER | NEWNET] });
    expect(() => planJoins(joins, new Map())).toThrow(/No descriptor for container aaaaaaaaaaaa/);
  });

  test("refuse host names that the kernel cannot hold", () => {
    expect(planHostname("box", "")).toHaveLength(1);
    expect(planHostname("box", "example.org")).toHaveLength(2);
    expect(() => planHostname("x".repeat(65), "")).toThrow(/longer than 64 bytes/);
  });

  test("write the offsets of both clocks", () => {
    const write = planTimeNamespace(86_400).find((step) => "call" in step && step.call === "write");
    expect(write).toMatchObject({
      args: [{ register: "time" }, Buffer.from("monotonic 86400 0\nboottime 86400 0\n"), 35],
    });
  });
});
