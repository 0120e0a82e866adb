import { describe, expect, test } from "bun:test";
import { ERRNO } from "../../base/errno.ts";
import { type Architecture, syscallNames, syscallNumber } from "../../base/syscall-number.ts";
import { DEFAULT_CAPABILITIES, maskOf } from "../capabilities.ts";
import { BPF_CODE, compileSeccomp } from "./compile.ts";
import { DEFAULT_PROFILE } from "./default-profile.ts";
import { parseDockerProfile } from "./docker-profile.ts";
import { planSeccomp, seccompFilter } from "./filter.ts";
import {
  type ArgumentTest,
  type ResolvedProfile,
  RETURN,
  type SeccompFacts,
  kernelVersion,
  resolveProfile,
} from "./profile.ts";

const FACTS: SeccompFacts = {
  architecture: "x64",
  kernel: [6, 18],
  capabilities: maskOf(DEFAULT_CAPABILITIES),
};
const AUDIT = { x64: 0xc000003e, arm64: 0xc00000b7 } as const;
const EPERM = RETURN.ERRNO | ERRNO.EPERM;
const ENOSYS = RETURN.ERRNO | ERRNO.ENOSYS;

/** Runs a filter as the kernel does: struct seccomp_data in, action out. */
function run(program: Uint8Array, input: { arch: number; nr: number; args: bigint[] }): number {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, input.nr, true);
  data.setUint32(4, input.arch, true);
  input.args.forEach((arg, index) => data.setBigUint64(16 + index * 8, arg, true));
  const code = new DataView(program.buffer, program.byteOffset, program.length);
  let accumulator = 0;
  for (let at = 0; at * 8 < program.length; at++) {
    const value = code.getUint32(at * 8 + 4, true);
    const jump = (isTrue: boolean): number => code.getUint8(at * 8 + (isTrue ? 2 : 3));
    switch (code.getUint16(at * 8, true)) {
      case BPF_CODE.LOAD:
        accumulator = data.getUint32(value, true);
        break;
      case BPF_CODE.AND:
        accumulator = (accumulator & value) >>> 0;
        break;
      case BPF_CODE.JUMP:
        at += value;
        break;
      case BPF_CODE.JUMP_EQUAL:
        at += jump(accumulator === value);
        break;
      case BPF_CODE.JUMP_GREATER:
        at += jump(accumulator > value);
        break;
      case BPF_CODE.JUMP_GREATER_EQUAL:
        at += jump(accumulator >= value);
        break;
      case BPF_CODE.RETURN:
        return value;
      default:
        throw new Error(`unknown instruction at ${at}`);
    }
  }
  throw new Error("the program runs off its end");
}

/** What the profile says, read rule by rule. */
function naive(profile: ResolvedProfile, nr: number, args: bigint[]): number {
  if (nr >= 0x40000000) return ENOSYS;
  if (nr > Math.max(...profile.calls.keys())) return ENOSYS;
  const verdict = profile.calls.get(nr);
  if (verdict === undefined) return profile.defaultAction;
  const found = verdict.conditional.find(({ tests }) => tests.every((one) => holds(one, args)));
  return found?.action ?? verdict.otherwise;
}

function holds(one: ArgumentTest, args: bigint[]): boolean {
  const argument = (args[one.index] ?? 0n) & one.mask;
  switch (one.op) {
    case "eq":
      return argument === one.value;
    case "ne":
      return argument !== one.value;
    case "lt":
      return argument < one.value;
    case "le":
      return argument <= one.value;
    case "gt":
      return argument > one.value;
    case "ge":
      return argument >= one.value;
  }
}

const SAMPLES = [
  0n,
  1n,
  2n,
  8n,
  37n,
  38n,
  39n,
  40n,
  41n,
  0x20000n,
  0x20008n,
  0x10000000n,
  0x7e020000n,
  0xffffffffn,
  0x1_0000_0000n,
  0x1_0000_0028n,
  0x7fff_ffff_ffff_ffffn,
  0xffff_ffff_ffff_ffffn,
];

function allowed(name: string, args: bigint[] = [], facts: SeccompFacts = FACTS): number {
  const { program } = seccompFilter("default", facts);
  const nr = syscallNumber(name, facts.architecture);
  return run(program, { arch: AUDIT[facts.architecture], nr, args });
}

describe("compileSeccomp()", () => {
  for (const architecture of ["x64", "arm64"] as const) {
    for (const capabilities of [FACTS.capabilities, 0n, (1n << 41n) - 1n]) {
      test(`decides as the rules do for every number on ${architecture} with capabilities ${capabilities}`, () => {
        const profile = resolveProfile(DEFAULT_PROFILE, { ...FACTS, architecture, capabilities });
        const program = compileSeccomp(profile, architecture);
        for (let nr = 0; nr < 700; nr++) {
          for (const sample of SAMPLES) {
            const args = [sample, sample ^ 0xffn, 0n, 1n, 2n, 3n];
            const got = run(program, { arch: AUDIT[architecture], nr, args });
            if (got !== naive(profile, nr, args))
              expect({ nr, sample, got }).toBe(naive(profile, nr, args) as never);
          }
        }
        expect(program.length / 8).toBeLessThan(260);
      });
    }
  }

  test("decides as the rules do for every operator, with values on both sides of 32 bits", () => {
    const values = [0n, 5n, 0xffffffffn, 0x1_0000_0000n, 0x5_0000_0005n, 0xffff_ffff_ffff_ffffn];
    const masks = [0xffff_ffff_ffff_ffffn, 0xffffffffn, 0xffff_ffff_0000_0000n, 0x1_0000_0001n];
    for (const op of ["eq", "ne", "lt", "le", "gt", "ge"] as const) {
      for (const value of values) {
        for (const mask of masks) {
          const tests: ArgumentTest[] = [
            { index: 2, op, value, mask },
            { index: 5, op: "le", value: 0x3_0000_0000n, mask: 0xffff_ffff_ffff_ffffn },
          ];
          const profile: ResolvedProfile = {
            defaultAction: EPERM,
            log: false,
            calls: new Map([
              [7, { conditional: [{ tests, action: RETURN.ALLOW }], otherwise: EPERM }],
            ]),
          };
          const program = compileSeccomp(profile, "x64");
          for (const a of [...values, 4n, 6n, 0x1_0000_0001n]) {
            for (const b of [0n, 0x3_0000_0000n, 0x3_0000_0001n]) {
              const args = [0n, 0n, a, 0n, 0n, b];
              expect(run(program, { arch: AUDIT.x64, nr: 7, args })).toBe(naive(profile, 7, args));
            }
          }
        }
      }
    }
  });

  test("ends a process that calls through another ABI, and knows no x32", () => {
    const { program } = seccompFilter("default", FACTS);
    const i386 = 0x40000003;
    expect(run(program, { arch: i386, nr: 20, args: [] })).toBe(RETURN.KILL_PROCESS);
    expect(run(program, { arch: AUDIT.x64, nr: 0x40000000 + 39, args: [] })).toBe(ENOSYS);
    expect(run(program, { arch: AUDIT.x64, nr: 0xffffffff, args: [] })).toBe(ENOSYS);
  });

  test("answers ENOSYS for calls newer than the profile, EPERM for older ones that it leaves out", () => {
    const { program } = seccompFilter("default", FACTS);
    expect(run(program, { arch: AUDIT.x64, nr: 500, args: [] })).toBe(ENOSYS);
    expect(allowed("io_uring_setup")).toBe(EPERM);
  });

  test("refuses a profile that the kernel cannot take", () => {
    const value = (nr: number): bigint => BigInt(nr) << 33n;
    const conditional = Array.from({ length: 2000 }, (_, nr) => ({
      tests: [{ index: 0, op: "eq" as const, value: value(nr), mask: 0xffff_ffff_ffff_ffffn }],
      action: RETURN.ALLOW,
    }));
    const profile: ResolvedProfile = {
      defaultAction: EPERM,
      log: false,
      calls: new Map([[1, { conditional, otherwise: EPERM }]]),
    };
    expect(() => compileSeccomp(profile, "x64")).toThrow(/instructions and the kernel takes 4096/);
  });
});

describe("the default profile", () => {
  test("names only calls that exist", () => {
    const known = new Set(syscallNames());
    expect(
      DEFAULT_PROFILE.rules.flatMap((rule) => rule.names).filter((name) => !known.has(name)),
    ).toEqual([]);
  });

  test("refuses what reaches beyond a container", () => {
    for (const name of `mount umount2 unshare setns bpf perf_event_open keyctl add_key request_key init_module
      finit_module delete_module kexec_load reboot swapon swapoff settimeofday clock_settime syslog userfaultfd
      io_uring_setup io_uring_enter open_by_handle_at pivot_root fsopen fsmount move_mount open_tree quotactl acct
      iopl ioperm vhangup kcmp process_madvise pidfd_getfd move_pages lookup_dcookie`.split(
      /\s+/,
    )) {
      expect([name, allowed(name)]).toEqual([name, EPERM]);
    }
  });

  test("lets ordinary programs work", () => {
    for (const name of `read write openat execve mmap clone fork wait4 futex epoll_wait ptrace chmod mknod setuid
      prctl seccomp rseq statx openat2 faccessat2 close_range memfd_create`.split(/\s+/)) {
      expect([name, allowed(name)]).toEqual([name, RETURN.ALLOW]);
    }
  });

  test("lets clone make processes and not namespaces, and hides clone3", () => {
    expect(allowed("clone", [0x1200011n])).toBe(RETURN.ALLOW);
    for (const flag of [0x20000n, 0x10000000n, 0x40000000n, 0x2000000n]) {
      expect(allowed("clone", [flag | 17n])).toBe(EPERM);
    }
    expect(allowed("clone3")).toBe(ENOSYS);
  });

  test("opens namespaces with CAP_SYS_ADMIN", () => {
    const facts = { ...FACTS, capabilities: maskOf(["CAP_SYS_ADMIN"]) };
    expect(allowed("clone", [0x20000n], facts)).toBe(RETURN.ALLOW);
    expect(allowed("clone3", [], facts)).toBe(RETURN.ALLOW);
    expect(allowed("mount", [], facts)).toBe(RETURN.ALLOW);
  });

  test("refuses sockets to the hypervisor and the kernel's ciphers, also with bits set above the family", () => {
    expect(allowed("socket", [2n])).toBe(RETURN.ALLOW);
    expect(allowed("socket", [39n])).toBe(RETURN.ALLOW);
    for (const family of [38n, 40n, 0x1_0000_0026n, 0x1_0000_0028n]) {
      expect(allowed("socket", [family])).toBe(EPERM);
    }
  });

  test("leaves ptrace out before Linux 4.8", () => {
    const facts: SeccompFacts = {
      ...FACTS,
      kernel: kernelVersion("4.4.0-generic"),
      capabilities: 0n,
    };
    expect(allowed("ptrace", [], facts)).toBe(EPERM);
  });
});

describe("parseDockerProfile()", () => {
  const compile = (profile: unknown, facts = FACTS): Uint8Array =>
    seccompFilter(JSON.stringify(profile), facts).program;
  const ask = (
    program: Uint8Array,
    name: string,
    args: bigint[] = [],
    architecture: Architecture = "x64",
  ): number =>
    run(program, { arch: AUDIT[architecture], nr: syscallNumber(name, architecture), args });

  test("reads names, actions, error numbers and arguments", () => {
    const program = compile({
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [
        { names: ["mkdir", "no_such_call"], action: "SCMP_ACT_ERRNO", errnoRet: 28 },
        { name: "chmod", action: "SCMP_ACT_KILL_PROCESS" },
        {
          names: ["personality"],
          action: "SCMP_ACT_ERRNO",
          args: [{ index: 0, value: 2114060288, valueTwo: 0x20000, op: "SCMP_CMP_MASKED_EQ" }],
        },
      ],
    });
    expect(ask(program, "mkdir")).toBe(RETURN.ERRNO | 28);
    expect(ask(program, "chmod")).toBe(RETURN.KILL_PROCESS);
    expect(ask(program, "personality", [0x20001n])).toBe(EPERM);
    expect(ask(program, "personality", [0x1n])).toBe(RETURN.ALLOW);
    expect(ask(program, "read")).toBe(RETURN.ALLOW);
    expect(run(program, { arch: AUDIT.x64, nr: 600, args: [] })).toBe(RETURN.ALLOW);
  });

  test("keeps 64-bit values exact", () => {
    const text = `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["ioctl"], "action": "SCMP_ACT_ERRNO",
      "args": [{"index": 1, "value": 18446744073709551614, "op": "SCMP_CMP_GT"}]}]}`;
    expect(parseDockerProfile(text).rules[0]?.tests[0]?.value).toBe(18446744073709551614n);
  });

  test("takes several tests of one argument as alternatives", () => {
    const args = [2, 10].map((value) => ({ index: 0, value, op: "SCMP_CMP_EQ" }));
    const program = compile({
      defaultAction: "SCMP_ACT_ERRNO",
      syscalls: [{ names: ["socket"], action: "SCMP_ACT_ALLOW", args }],
    });
    expect(ask(program, "socket", [2n])).toBe(RETURN.ALLOW);
    expect(ask(program, "socket", [10n])).toBe(RETURN.ALLOW);
    expect(ask(program, "socket", [1n])).toBe(EPERM);
  });

  test("lets a rule without tests win over one with tests", () => {
    const args = [{ index: 0, value: 2, op: "SCMP_CMP_EQ" }];
    const program = compile({
      defaultAction: "SCMP_ACT_ERRNO",
      syscalls: [
        { names: ["socket"], action: "SCMP_ACT_KILL", args },
        { names: ["socket"], action: "SCMP_ACT_ALLOW" },
      ],
    });
    expect(ask(program, "socket", [2n])).toBe(RETURN.ALLOW);
  });

  test("follows includes and excludes", () => {
    const syscalls = [
      { names: ["mount"], action: "SCMP_ACT_ALLOW", includes: { caps: ["CAP_SYS_ADMIN"] } },
      { names: ["umount2"], action: "SCMP_ACT_ALLOW", excludes: { caps: ["CAP_SYS_ADMIN"] } },
      { names: ["ptrace"], action: "SCMP_ACT_ALLOW", includes: { minKernel: "4.8" } },
      { names: ["acct"], action: "SCMP_ACT_ALLOW", includes: { arches: ["arm64"] } },
    ];
    const program = compile({ defaultAction: "SCMP_ACT_ERRNO", syscalls });
    expect(["mount", "umount2", "ptrace", "acct"].map((name) => ask(program, name))).toEqual([
      EPERM,
      RETURN.ALLOW,
      RETURN.ALLOW,
      EPERM,
    ]);
  });

  test.each([
    ["{", /it is no JSON/],
    ["[]", /the profile is no object/],
    [`{"defaultAction": "SCMP_ACT_MAYBE"}`, /defaultAction "SCMP_ACT_MAYBE" is unknown/],
    [`{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": {}}`, /syscalls is no list/],
    [
      `{"defaultAction": "SCMP_ACT_ALLOW", "architectures": [], "archMap": []}`,
      /both "architectures" and "archMap"/,
    ],
    [
      `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 6}]}]}`,
      /syscalls\[0\]\.args\[0\]\.index is no number from 0 to 5/,
    ],
    [
      `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"], "action": "SCMP_ACT_ERRNO", "includes": {"caps": ["X"]}}]}`,
      /which is no capability/,
    ],
  ])("says where %s is wrong", (text, message) => {
    expect(() => parseDockerProfile(text)).toThrow(message);
  });
});

describe("planSeccomp()", () => {
  test("is compiled once for the same profile and capabilities", () => {
    expect(seccompFilter("default", FACTS)).toBe(seccompFilter("default", { ...FACTS }));
    expect(seccompFilter("default", FACTS)).not.toBe(
      seccompFilter("default", { ...FACTS, capabilities: 0n }),
    );
  });

  test("is taken by the kernel, which then refuses what the profile refuses", () => {
    const script = `
      const { syscallRaw, addressOf, ARCHITECTURE } = require("${import.meta.dir}/../../kernel/syscall.ts");
      const { seccompFilter } = require("${import.meta.dir}/filter.ts");
      const { program } = seccompFilter("default", { architecture: ARCHITECTURE, kernel: [6, 1], capabilities: 0n });
      const description = new DataView(new ArrayBuffer(16));
      description.setUint16(0, program.length / 8, true);
      description.setBigUint64(8, addressOf(program), true);
      const results = [syscallRaw("prctl", 38, 1, 0, 0, 0),
        syscallRaw("seccomp", 1, 0, new Uint8Array(description.buffer)),
        syscallRaw("unshare", 0x20000), syscallRaw("socket", 40, 1, 0), syscallRaw("clone3", null, 0),
        syscallRaw("getpid") > 0];
      console.log(JSON.stringify(results));`;
    const child = Bun.spawnSync([process.execPath, "-e", script], {
      stdout: "pipe",
      stderr: "inherit",
    });
    expect(JSON.parse(child.stdout.toString())).toEqual([
      0,
      0,
      -ERRNO.EPERM,
      -ERRNO.EPERM,
      -ERRNO.ENOSYS,
      true,
    ]);
  });

  test("gives the kernel the program and its length", () => {
    const filter = seccompFilter("default", FACTS);
    const [operation] = planSeccomp(filter);
    expect(operation).toMatchObject({
      call: "seccomp",
      args: [
        1,
        0,
        {
          struct: [
            [2, filter.program.length / 8],
            [2, 0],
            [4, 0],
            [8, filter.program],
          ],
        },
      ],
    });
  });
});
