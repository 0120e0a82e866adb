import { ERRNO } from "../../base/errno.ts";
import { TiffinError } from "../../base/error.ts";
import type { Architecture } from "../../base/syscall-number.ts";
import { type ArgumentTest, type CallVerdict, RETURN, type ResolvedProfile } from "./profile.ts";

/** Classic BPF (include/uapi/linux/filter.h): the instructions that filters need. */
export const BPF_CODE = {
  LOAD: 0x20,
  AND: 0x54,
  JUMP: 0x05,
  JUMP_EQUAL: 0x15,
  JUMP_GREATER: 0x25,
  JUMP_GREATER_EQUAL: 0x35,
  RETURN: 0x06,
} as const;

/** Offsets in struct seccomp_data. */
const NUMBER = 0;
const ARCHITECTURE = 4;
const ARGUMENTS = 16;

const AUDIT_ARCH: Readonly<Record<Abi, number>> = {
  x64: 0xc000003e,
  x32: 0xc000003e,
  x86: 0x40000003,
  arm64: 0xc00000b7,
};
/** What a program's calls are numbered after: `x32` shares the machine word of x64, with its own numbers. */
export type Abi = Architecture | "x86" | "x32";

/** Numbers from here on are those of the x32 ABI. */
const X32_BIT = 0x40000000;
const ENOSYS = RETURN.ERRNO | ERRNO.ENOSYS;
const LONGEST_JUMP = 255;
const LONGEST_PROGRAM = 4096;

interface Instruction {
  readonly code: number;
  readonly value: number;
  /** Instructions to skip when the test holds, and when not. */
  readonly whenTrue: number;
  readonly whenFalse: number;
}

interface Range {
  readonly first: number;
  readonly verdict: CallVerdict;
}

/**
 * A filter as an array of struct sock_filter for seccomp(SECCOMP_SET_MODE_FILTER): a binary search over ranges of numbers
 * with the same verdict, so that any call is decided after some eight comparisons.
 *
 * Only the machine's own ABI gets in: a call of another one (32-bit programs) ends the process with SIGSYS. docker's
 * default profile allows 32-bit programs, and with them the sockets that it means to refuse. x32 numbers get ENOSYS,
 * as kernels without x32 answer.
 *
 * As with runc, numbers above all that the profile names get ENOSYS, not the default's EPERM: programs then fall back to
 * older calls as they do on an older kernel.
 *
 * @throws invalid-argument for a profile too large for the kernel
 */
export function compileSeccomp(profile: ResolvedProfile, architecture: Architecture): Uint8Array {
  return encode([
    load(ARCHITECTURE),
    jump(BPF_CODE.JUMP_EQUAL, AUDIT_ARCH[architecture], 1, 0),
    answer(RETURN.KILL_PROCESS),
    load(NUMBER),
    ...searchTree(rangesOf(profile, architecture)),
  ]);
}

/**
 * The same for several ABIs of one machine, each with its own numbers; what none of them is ends the process.
 * @throws invalid-argument
 */
export function compileForAbis(profiles: ReadonlyMap<Abi, ResolvedProfile>): Uint8Array {
  const blocks = [...profiles].flatMap(([abi, profile]) =>
    abi === "x32"
      ? []
      : [
          {
            architecture: AUDIT_ARCH[abi],
            program: [load(NUMBER), ...searchTree(rangesOf(profile, abi, profiles.get("x32")))],
          },
        ],
  );
  const program = [load(ARCHITECTURE)];
  for (const { architecture, program: block } of blocks) {
    // A conditional jump reaches 255 instructions, an unconditional one everything.
    program.push(
      jump(BPF_CODE.JUMP_EQUAL, architecture, 1, 0),
      { code: BPF_CODE.JUMP, value: block.length, whenTrue: 0, whenFalse: 0 },
      ...block,
    );
  }
  return encode([...program, answer(RETURN.KILL_PROCESS)]);
}

function encode(program: readonly Instruction[]): Uint8Array {
  if (program.length > LONGEST_PROGRAM) {
    throw new TiffinError(
      "invalid-argument",
      `Cannot use the seccomp profile: its filter has ${program.length} instructions and the kernel takes ${LONGEST_PROGRAM}`,
    );
  }
  const bytes = new DataView(new ArrayBuffer(program.length * 8));
  program.forEach(({ code, value, whenTrue, whenFalse }, index) => {
    bytes.setUint16(index * 8, code, true);
    bytes.setUint8(index * 8 + 2, whenTrue);
    bytes.setUint8(index * 8 + 3, whenFalse);
    bytes.setUint32(index * 8 + 4, value, true);
  });
  return new Uint8Array(bytes.buffer);
}

/** All numbers from 0 to 2^32-1 as ranges with the same verdict, in order. */
function rangesOf(profile: ResolvedProfile, abi: Abi, x32?: ResolvedProfile): Range[] {
  const byDefault: CallVerdict = { conditional: [], otherwise: profile.defaultAction };
  const unknown: CallVerdict = {
    conditional: [],
    otherwise: answersUnknownWithEnosys(profile.defaultAction) ? ENOSYS : profile.defaultAction,
  };
  const last = Math.max(-1, ...profile.calls.keys());
  const ranges: Range[] = [];
  const add = (first: number, verdict: CallVerdict): void => {
    const before = ranges.at(-1);
    if (before === undefined || !isSame(before.verdict, verdict)) ranges.push({ first, verdict });
  };
  for (let number = 0; number <= last; number++)
    add(number, profile.calls.get(number) ?? byDefault);
  add(last + 1, unknown);
  if (abi !== "x64") return ranges;
  add(X32_BIT, { conditional: [], otherwise: ENOSYS });
  for (const { first, verdict } of x32 ? rangesOf(x32, "x32") : []) {
    ranges.push({ first: X32_BIT + first, verdict });
  }
  return x32 ? ranges.filter((range, index) => ranges[index + 1]?.first !== range.first) : ranges;
}

/** Not where the default lets calls through, and not over another error that the profile chose. */
function answersUnknownWithEnosys(defaultAction: number): boolean {
  return defaultAction === (RETURN.ERRNO | ERRNO.EPERM) || isKill(defaultAction);
}

function isKill(action: number): boolean {
  return action === RETURN.KILL_PROCESS || action === RETURN.KILL_THREAD;
}

function isSame(a: CallVerdict, b: CallVerdict): boolean {
  return (
    a === b ||
    (a.conditional.length === 0 && b.conditional.length === 0 && a.otherwise === b.otherwise)
  );
}

function searchTree(ranges: readonly Range[]): Instruction[] {
  const [only] = ranges;
  if (only === undefined) return [];
  if (ranges.length === 1) return verdictInstructions(only.verdict);
  const middle = ranges.length >> 1;
  const left = searchTree(ranges.slice(0, middle));
  const right = searchTree(ranges.slice(middle));
  const boundary = ranges[middle]?.first ?? 0;
  // A conditional jump reaches 255 instructions, an unconditional one everything.
  if (left.length <= LONGEST_JUMP) {
    return [jump(BPF_CODE.JUMP_GREATER_EQUAL, boundary, left.length, 0), ...left, ...right];
  }
  return [
    jump(BPF_CODE.JUMP_GREATER_EQUAL, boundary, 0, 1),
    { code: BPF_CODE.JUMP, value: left.length, whenTrue: 0, whenFalse: 0 },
    ...left,
    ...right,
  ];
}

function verdictInstructions(verdict: CallVerdict): Instruction[] {
  return [
    ...verdict.conditional.flatMap(({ tests, action }) => alternative(tests, action)),
    answer(verdict.otherwise),
  ];
}

/** Answers with `action` when all tests hold, else runs on. */
function alternative(tests: readonly ArgumentTest[], action: number): Instruction[] {
  let program = [answer(action)];
  // From the last to the first: how far to jump when a test fails is then known.
  for (const test of [...tests].reverse())
    program = [...testInstructions(test, program.length), ...program];
  return program;
}

/** Runs on when the test holds, else skips `skip` instructions. BPF knows 32 bits: the upper half is tested first. */
function testInstructions(test: ArgumentTest, skip: number): Instruction[] {
  const [high, low] = [(test.value >> 32n) & 0xffffffffn, test.value & 0xffffffffn].map(Number) as [
    number,
    number,
  ];
  const [maskHigh, maskLow] = [test.mask >> 32n, test.mask & 0xffffffffn].map(Number) as [
    number,
    number,
  ];
  const at = ARGUMENTS + test.index * 8;
  const loadLow = [load(at), ...masked(maskLow)];
  const loadHigh = [load(at + 4), ...masked(maskHigh)];
  // What the low half says: instructions that run on or skip `skip`.
  const lowTest = (code: number, isWanted: boolean): Instruction[] => [
    ...loadLow,
    isWanted ? jump(code, low, 0, skip) : jump(code, low, skip, 0),
  ];
  switch (test.op) {
    case "eq": {
      const rest = lowTest(BPF_CODE.JUMP_EQUAL, true);
      return [...loadHigh, jump(BPF_CODE.JUMP_EQUAL, high, 0, rest.length + skip), ...rest];
    }
    case "ne": {
      const rest = lowTest(BPF_CODE.JUMP_EQUAL, false);
      return [...loadHigh, jump(BPF_CODE.JUMP_EQUAL, high, 0, rest.length), ...rest];
    }
    case "gt":
    case "ge": {
      const code = test.op === "gt" ? BPF_CODE.JUMP_GREATER : BPF_CODE.JUMP_GREATER_EQUAL;
      const rest = lowTest(code, true);
      return [
        ...loadHigh,
        jump(BPF_CODE.JUMP_GREATER, high, rest.length + 1, 0),
        jump(BPF_CODE.JUMP_EQUAL, high, 0, rest.length + skip),
        ...rest,
      ];
    }
    case "lt":
    case "le": {
      const code = test.op === "le" ? BPF_CODE.JUMP_GREATER : BPF_CODE.JUMP_GREATER_EQUAL;
      const rest = lowTest(code, false);
      return [
        ...loadHigh,
        jump(BPF_CODE.JUMP_GREATER, high, rest.length + 1 + skip, 0),
        jump(BPF_CODE.JUMP_EQUAL, high, 0, rest.length),
        ...rest,
      ];
    }
  }
}

function masked(mask: number): Instruction[] {
  return mask === 0xffffffff
    ? []
    : [{ code: BPF_CODE.AND, value: mask, whenTrue: 0, whenFalse: 0 }];
}

function load(offset: number): Instruction {
  return { code: BPF_CODE.LOAD, value: offset, whenTrue: 0, whenFalse: 0 };
}

function answer(action: number): Instruction {
  return { code: BPF_CODE.RETURN, value: action, whenTrue: 0, whenFalse: 0 };
}

function jump(code: number, value: number, whenTrue: number, whenFalse: number): Instruction {
  if (whenTrue > LONGEST_JUMP || whenFalse > LONGEST_JUMP) {
    throw new TiffinError(
      "invalid-argument",
      "Cannot use the seccomp profile: a rule tests too many arguments",
    );
  }
  return { code, value, whenTrue, whenFalse };
}
