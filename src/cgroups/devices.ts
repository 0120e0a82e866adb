import { invalidArgument } from "../base/error.ts";
import { type Operand, type Operation, type Register, call, register } from "../base/operation.ts";
import { BPF } from "../kernel/flags.ts";
import type { DeviceRule } from "./resources.ts";
import type { CgroupWrite } from "./write.ts";

function allow(type: "b" | "c", major: number, minor: number, access = "rwm"): DeviceRule {
  return { allow: true, type, major, minor, access };
}

/**
 * docker's list: making any node is fine (without opening it), and null, zero, full, random, urandom, tty, console and
 * pseudo terminals may be used. The last rule that fits decides; what none fits is denied.
 */
export const DEFAULT_DEVICE_RULES: readonly DeviceRule[] = [
  allow("c", -1, -1, "m"),
  allow("b", -1, -1, "m"),
  allow("c", 1, 3),
  allow("c", 1, 5),
  allow("c", 1, 7),
  allow("c", 1, 8),
  allow("c", 1, 9),
  allow("c", 5, 0),
  allow("c", 5, 1),
  allow("c", 5, 2),
  allow("c", 136, -1),
];

/** Privileged: everything. */
export const ALL_DEVICES: readonly DeviceRule[] = [
  { allow: true, type: "a", major: -1, minor: -1, access: "rwm" },
];

/**
 * docker's form of a rule, `c 1:3 rwm` with `*` for any number, as rules that allow. `a` is both kinds of device: v1 takes it
 * for all devices there are, so it is written out. @throws invalid-argument, in docker's words
 */
export function parseDeviceRule(text: string): DeviceRule[] {
  const match = /^([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})$/.exec(text);
  if (match === null) {
    throw invalidArgument(`invalid device cgroup rule format: '${text}'`, "Use 'c 1:3 rwm'");
  }
  const [, type = "", major, minor, access = ""] = match;
  const number = (word: string | undefined): number => (word === "*" ? -1 : Number(word));
  const types = type === "a" ? (["c", "b"] as const) : ([type as "c" | "b"] as const);
  return types.map((one) => allow(one, number(major), number(minor), access));
}

/** v1: deny all, then one line a rule. None at all when everything is allowed: that is how a new group starts. */
export function devicesV1(rules: readonly DeviceRule[]): CgroupWrite[] {
  if (rules.length === 1 && rules[0]?.allow === true && rules[0].type === "a") return [];
  return [
    {
      controller: "devices",
      file: "devices.deny",
      value: "a",
      reason: "deny it all devices",
    },
    ...rules.map((rule): CgroupWrite => {
      const line = ruleText(rule);
      return {
        controller: "devices",
        file: rule.allow ? "devices.allow" : "devices.deny",
        value: line,
        reason: `${rule.allow ? "allow" : "deny"} it the devices ${line}`,
      };
    }),
  ];
}

function ruleText({ type, major, minor, access }: DeviceRule): string {
  if (type === "a") return "a";
  return `${type} ${major < 0 ? "*" : major}:${minor < 0 ? "*" : minor} ${access}`;
}

// eBPF instructions (Documentation/bpf/standardization/instruction-set.rst).
const LOAD_WORD = 0x61;
const AND = 0x57;
const SHIFT_RIGHT = 0x77;
const MOVE = 0xb7;
const MOVE_REGISTER = 0xbf;
const JUMP_NOT_EQUAL = 0x55;
const JUMP_NOT_EQUAL_REGISTER = 0x5d;
const EXIT = 0x95;
const INSTRUCTION_SIZE = 8;

interface Instruction {
  readonly code: number;
  readonly to: number;
  readonly from?: number;
  /** Of a jump: instructions to skip. */
  readonly offset?: number;
  readonly value?: number;
}

const DEVICE_TYPE = { b: 1, c: 2 } as const;
const DEVICE_ACCESS: Readonly<Record<string, number>> = { m: 1, r: 2, w: 4 };

/**
 * v2: the rules as a program of type BPF_PROG_TYPE_CGROUP_DEVICE, which the kernel asks about each open and mknod. It gets
 * struct bpf_cgroup_dev_ctx (type in the low, access in the high half of the first word; major; minor) and returns 1 to
 * allow. The rules are tried from the last to the first.
 */
export function deviceProgram(rules: readonly DeviceRule[]): Uint8Array {
  // Registers: 1 the context, 2 type, 3 access, 4 major, 5 minor, 0 the answer.
  const program: Instruction[] = [
    { code: LOAD_WORD, to: 2, from: 1, offset: 0 },
    { code: MOVE_REGISTER, to: 3, from: 2 },
    { code: AND, to: 2, value: 0xffff },
    { code: SHIFT_RIGHT, to: 3, value: 16 },
    { code: LOAD_WORD, to: 4, from: 1, offset: 4 },
    { code: LOAD_WORD, to: 5, from: 1, offset: 8 },
    ...[...rules].reverse().flatMap(ruleInstructions),
    { code: MOVE, to: 0, value: 0 },
    { code: EXIT, to: 0 },
  ];
  const bytes = new DataView(new ArrayBuffer(program.length * INSTRUCTION_SIZE));
  program.forEach((instruction, index) => {
    const at = index * INSTRUCTION_SIZE;
    bytes.setUint8(at, instruction.code);
    bytes.setUint8(at + 1, instruction.to | ((instruction.from ?? 0) << 4));
    bytes.setInt16(at + 2, instruction.offset ?? 0, true);
    bytes.setInt32(at + 4, instruction.value ?? 0, true);
  });
  return new Uint8Array(bytes.buffer);
}

function ruleInstructions(rule: DeviceRule): Instruction[] {
  let access = 0;
  for (const letter of rule.access) access |= DEVICE_ACCESS[letter] ?? 0;
  // Each test is a jump over the rest of the rule; the distances are filled in below.
  const tests: Instruction[] = [];
  if (rule.type !== "a") {
    tests.push({ code: JUMP_NOT_EQUAL, to: 2, value: DEVICE_TYPE[rule.type] });
  }
  if (access !== 7 && rule.type !== "a") {
    // A rule that allows decides when it covers all that is wanted, one that denies when it covers any of it.
    tests.push({ code: MOVE_REGISTER, to: 1, from: 3 }, { code: AND, to: 1, value: access });
    tests.push(
      rule.allow
        ? { code: JUMP_NOT_EQUAL_REGISTER, to: 1, from: 3 }
        : { code: JUMP_EQUAL, to: 1, value: 0 },
    );
  }
  if (rule.major >= 0) tests.push({ code: JUMP_NOT_EQUAL, to: 4, value: rule.major });
  if (rule.minor >= 0) tests.push({ code: JUMP_NOT_EQUAL, to: 5, value: rule.minor });
  const all: Instruction[] = [
    ...tests,
    { code: MOVE, to: 0, value: rule.allow ? 1 : 0 },
    { code: EXIT, to: 0 },
  ];
  return all.map((instruction, index) =>
    JUMPS.has(instruction.code) ? { ...instruction, offset: all.length - index - 1 } : instruction,
  );
}

const JUMP_EQUAL = 0x15;
const JUMPS = new Set([JUMP_EQUAL, JUMP_NOT_EQUAL, JUMP_NOT_EQUAL_REGISTER]);

/**
 * Loads the program and attaches it to a cgroup v2 directory. Supervisor side; works on kernels that have CONFIG_CGROUP_BPF
 * (all that run docker on v2).
 */
export function planDeviceFilter(rules: readonly DeviceRule[], directory: Register): Operation[] {
  const program = deviceProgram(rules);
  const load: Operand = {
    struct: [
      [4, BPF.PROG_TYPE_CGROUP_DEVICE],
      [4, program.length / INSTRUCTION_SIZE],
      [8, program],
      [8, "Apache"],
      // The verifier's log (level, size, buffer), kernel version, flags, name: none.
      [8, 0],
      [8, 0],
      [8, 0],
      [8, 0],
      [8, 0],
    ],
  };
  const attach: Operand = {
    struct: [
      [4, directory],
      [4, register("device.filter")],
      [4, BPF.CGROUP_DEVICE],
      [4, BPF.F_ALLOW_MULTI],
      [4, 0],
    ],
  };
  return [
    call("bpf", [BPF.PROG_LOAD, load, 64], "load the filter for devices", {
      result: "device.filter",
    }),
    call("bpf", [BPF.PROG_ATTACH, attach, 20], "attach the filter for devices"),
  ];
}
