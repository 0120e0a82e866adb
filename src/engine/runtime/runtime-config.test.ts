import { describe, expect, test } from "bun:test";
import { resolveNamespaces } from "../../namespaces/namespaces.ts";
import { DEFAULT_PROFILE } from "../../namespaces/seccomp/default-profile.ts";
import { emptySpec } from "../spec-defaults.ts";
import { namespaceModes } from "../spec-security.ts";
import type { ContainerSpec } from "../types.ts";
import { configText, runtimeConfig } from "./runtime-config.ts";
import { runtimeProcess } from "./runtime-process.ts";
import { runtimeResources } from "./runtime-resources.ts";
import { runtimeSeccomp } from "./runtime-seccomp.ts";

const IDS = 0x70000000;
const DONOR = { id: "d".repeat(64), idBase: IDS, ipcShareable: true };
const FACTS = { architecture: "x64", kernel: [6, 1], capabilities: 0n } as const;
const CHOWN_AND_KILL = (1n << 0n) | (1n << 5n);

function config(change: Partial<ContainerSpec> = {}, idBase = IDS) {
  const spec = { ...emptySpec("box"), hostname: "inside", ...change };
  const namespaces = resolveNamespaces(
    { ...namespaceModes(spec, 2), hostname: "", domainname: "" },
    new Map([["donor", DONOR]]),
  );
  return runtimeConfig({
    rootPath: "/mnt/rootfs",
    readOnlyRoot: spec.readOnlyRootfs,
    process: runtimeProcess(program(), { rlimits: spec.ulimits, oomScoreAdjust: 0 }),
    hostname: spec.hostname,
    domainname: spec.domainname,
    annotations: spec.annotations,
    mounts: [],
    rootPropagation: undefined,
    namespaces,
    joinPids: new Map([[DONOR.id, 77]]),
    idBase,
    cgroupsPath: "/tiffin/e/c",
    resources: {},
    devices: [],
    sysctls: spec.sysctls,
    seccomp: undefined,
    maskedPaths: [],
    readOnlyPaths: [],
  });
}

function program(isRoot = true): Parameters<typeof runtimeProcess>[0] {
  return {
    argv: ["sh"],
    environment: ["A=1"],
    workingDirectory: "/",
    uid: isRoot ? 0 : 1000,
    gid: 0,
    groups: [5],
    noNewPrivileges: false,
    tty: false,
    terminalSize: { rows: 0, columns: 0 },
    capabilities: { bounding: CHOWN_AND_KILL, isRoot, lastCapability: 40 },
  };
}

const types = (change: Partial<ContainerSpec>, idBase?: number) =>
  config(change, idBase).linux?.namespaces?.map(({ type, path }) => path ?? type);

describe("a container's config.json", () => {
  test("has what runtime-spec requires", () => {
    const { ociVersion, root, process, hostname, linux } = config();
    expect(ociVersion).toMatch(/^1\.\d+\.\d+$/);
    expect(root?.path).toBe("/mnt/rootfs");
    expect(process?.cwd).toStartWith("/");
    expect(process?.args).toEqual(["sh"]);
    expect(hostname).toBe("inside");
    expect(linux?.cgroupsPath).toBe("/tiffin/e/c");
  });

  test("gives it namespaces and ids of its own", () => {
    expect(types({})).toEqual(["mount", "pid", "network", "ipc", "uts", "user", "cgroup"]);
    const mapping = [{ containerID: 0, hostID: IDS, size: 65_536 }];
    expect(config().linux?.uidMappings).toEqual(mapping);
    expect(config().linux?.gidMappings).toEqual(mapping);
  });

  test("leaves out what is the host's", () => {
    const host = { pidMode: "host", networkMode: "host", ipcMode: "host", utsMode: "host" };
    expect(types({ ...host, cgroupnsMode: "host" }, 0)).toEqual(["mount"]);
    const { hostname, linux } = config({ ...host, hostname: "x" }, 0);
    expect(hostname).toBeUndefined();
    expect(linux?.uidMappings).toBeUndefined();
  });

  test("names the namespaces of another container by its process", () => {
    const joined = types({ networkMode: "container:donor" });
    expect(joined).toContain("/proc/77/ns/net");
    expect(joined).toContain("/proc/77/ns/user");
    expect(joined).not.toContain("network");
    expect(joined).not.toContain("user");
  });

  test("writes a limit that is none as the number that it is", () => {
    const text = configText(config({ ulimits: [{ name: "core", soft: -1, hard: -1 }] }));
    expect(text).toContain('"soft": 18446744073709551615');
    expect(() => JSON.parse(text) as unknown).not.toThrow();
  });
});

describe("a process for a runtime", () => {
  const limits = { rlimits: [], oomScoreAdjust: 0 };

  test("has its capabilities in force when it is root, else in reserve", () => {
    const names = ["CAP_CHOWN", "CAP_KILL"];
    const none = { inheritable: [], ambient: [] };
    const all = { bounding: names, effective: names, permitted: names, ...none };
    expect(runtimeProcess(program(), limits).capabilities).toEqual(all);
    const reserve = { bounding: names, effective: [], permitted: [], ...none };
    expect(runtimeProcess(program(false), limits).capabilities).toEqual(reserve);
  });

  test("has its user, groups and limits", () => {
    const rlimits = [{ name: "nofile", soft: 10, hard: 20 }];
    const process = runtimeProcess(program(false), { rlimits, oomScoreAdjust: 500 });
    expect(process.user).toEqual({ uid: 1000, gid: 0, umask: 0o22, additionalGids: [5] });
    expect(process.rlimits).toEqual([{ type: "RLIMIT_NOFILE", soft: 10, hard: 20 }]);
    expect(process.oomScoreAdj).toBe(500);
  });
});

test("limits are the specification's, and what is no limit is left out", () => {
  const device = { allow: true, type: "c", major: 1, minor: -1, access: "rw" } as const;
  const limits = { memoryBytes: 1 << 26, memorySwapBytes: -1, nanoCpus: 500_000_000 };
  expect(runtimeResources({ ...limits, pidsLimit: -1, cpusetCpus: "" }, [device])).toEqual({
    devices: [
      { allow: false, access: "rwm" },
      { allow: true, type: "c", major: 1, access: "rw" },
    ],
    memory: { limit: 1 << 26, swap: -1 },
    cpu: { quota: 50_000, period: 100_000 },
  });
});

describe("a seccomp profile for a runtime", () => {
  test("denies by default what docker's does, with the native architecture alone", () => {
    const profile = runtimeSeccomp(DEFAULT_PROFILE, FACTS);
    expect(profile.defaultAction).toBe("SCMP_ACT_ERRNO");
    expect(profile.defaultErrnoRet).toBeGreaterThan(0);
    expect(profile.architectures).toEqual(["SCMP_ARCH_X86_64"]);
  });

  test("has the rules whose conditions hold, and no others", () => {
    const allowed = (capabilities: bigint) =>
      (runtimeSeccomp(DEFAULT_PROFILE, { ...FACTS, capabilities }).syscalls ?? []).some((rule) =>
        (rule as { names: string[] }).names.includes("mount"),
      );
    expect(allowed(0n)).toBeFalse();
    expect(allowed(1n << 21n)).toBeTrue();
  });

  test("leaves out single values by listing the others, since runtimes cannot test for what is not there", () => {
    const rules = runtimeSeccomp(DEFAULT_PROFILE, FACTS).syscalls as {
      names: string[];
      args?: { op: string; value: number }[];
    }[];
    const socket = rules.filter(({ names }) => names.includes("socket"));
    const tests = socket.map(({ args = [] }) =>
      args.map(({ op, value }) => `${op} ${value}`).join(),
    );
    expect(tests).toContain("SCMP_CMP_LT 38");
    expect(tests).toContain("SCMP_CMP_EQ 39");
    expect(tests).toContain("SCMP_CMP_EQ 44");
    expect(tests).not.toContain("SCMP_CMP_EQ 40");
  });

  test("writes tests of a masked argument with the mask first", () => {
    const rule = {
      names: ["clone"],
      action: 0x7fff0000,
      tests: [{ index: 0, op: "eq", value: 0n, mask: 0x7e020000n }],
    } as const;
    const profile = { defaultAction: 0x00050001, rules: [rule], log: false };
    expect(runtimeSeccomp(profile, FACTS).syscalls).toEqual([
      {
        names: ["clone"],
        action: "SCMP_ACT_ALLOW",
        args: [{ index: 0, value: 0x7e020000, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
      },
    ]);
  });
});
