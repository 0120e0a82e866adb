import type { SpecSeccomp } from "../../base/runtime-spec.ts";
import type { Architecture } from "../../base/syscall-number.ts";
import {
  type ArgumentTest,
  RETURN,
  ruleCounts,
  type SeccompFacts,
  type SeccompProfile,
} from "../../namespaces/seccomp/profile.ts";

const ACTIONS: ReadonlyMap<number, string> = new Map([
  [RETURN.KILL_PROCESS, "SCMP_ACT_KILL_PROCESS"],
  [RETURN.KILL_THREAD, "SCMP_ACT_KILL_THREAD"],
  [RETURN.TRAP, "SCMP_ACT_TRAP"],
  [RETURN.ERRNO, "SCMP_ACT_ERRNO"],
  [RETURN.TRACE, "SCMP_ACT_TRACE"],
  [RETURN.USER_NOTIFY, "SCMP_ACT_NOTIFY"],
  [RETURN.LOG, "SCMP_ACT_LOG"],
  [RETURN.ALLOW, "SCMP_ACT_ALLOW"],
]);

const ARCHITECTURES: Readonly<Record<Architecture, string>> = {
  x64: "SCMP_ARCH_X86_64",
  arm64: "SCMP_ARCH_AARCH64",
};

const ALL_BITS = 0xffff_ffff_ffff_ffffn;

/**
 * A seccomp profile as a runtime takes it (runtime-spec config-linux.md, "Seccomp"): its conditions decided, the native architecture
 * alone, as the filter of a container of ours.
 */
export function runtimeSeccomp(profile: SeccompProfile, facts: SeccompFacts): SpecSeccomp {
  const rules = profile.rules.filter(
    (rule) => rule.action !== profile.defaultAction && ruleCounts(rule, facts),
  );
  return {
    defaultAction: actionName(profile.defaultAction),
    ...errnoOf("defaultErrnoRet", profile.defaultAction),
    architectures: [ARCHITECTURES[facts.architecture]],
    ...(profile.log ? { flags: ["SECCOMP_FILTER_FLAG_LOG"] } : {}),
    syscalls: rules.flatMap(({ names, action, tests }) =>
      expressible(tests).map((args) => ({
        names,
        action: actionName(action),
        ...errnoOf("errnoRet", action),
        ...(args.length === 0 ? {} : { args: args.map(argument) }),
      })),
    ),
  };
}

/** The built-in profile leaves out single socket families; those above are few, and the last ones that there are. */
const FURTHER_VALUES = 8;

/**
 * The tests as alternatives that libseccomp can express. "Not these values of some bits" it cannot: what is below the values,
 * between and a few above are listed instead, of all 64 bits, which allows less, never more.
 */
function expressible(tests: readonly ArgumentTest[]): (readonly ArgumentTest[])[] {
  const [first] = tests;
  const isExclusion =
    first !== undefined && tests.every(({ op, mask }) => op === "ne" && mask !== ALL_BITS);
  if (!isExclusion) return [tests];
  const excluded = tests.map(({ value }) => Number(value));
  const lowest = Math.min(...excluded);
  const count = Math.max(...excluded) + FURTHER_VALUES - lowest;
  const others = Array.from({ length: count }, (_, step) => lowest + step + 1).filter(
    (value) => !excluded.includes(value),
  );
  const test = (op: ArgumentTest["op"], value: number): ArgumentTest => ({
    index: first.index,
    op,
    value: BigInt(value),
    mask: ALL_BITS,
  });
  return [[test("lt", lowest)], ...others.map((value) => [test("eq", value)])];
}

function actionName(action: number): string {
  return ACTIONS.get((action & 0xffff_0000) >>> 0) ?? "SCMP_ACT_KILL_PROCESS";
}

/** The number that goes with an action; only two take one. */
function errnoOf(key: string, action: number): Record<string, number> {
  const kind = (action & 0xffff_0000) >>> 0;
  return kind === RETURN.ERRNO || kind === RETURN.TRACE ? { [key]: action & 0xffff } : {};
}

/** Numbers up to 2^53 are exact in JSON; what is larger is a mask of all bits. */
function argument({ index, op, value, mask }: ArgumentTest): object {
  if (mask !== ALL_BITS) {
    return { index, value: Number(mask), valueTwo: Number(value), op: "SCMP_CMP_MASKED_EQ" };
  }
  return { index, value: Number(value), op: `SCMP_CMP_${op.toUpperCase()}` };
}
