import { type Architecture, syscallNumber } from "../../base/syscall-number.ts";
import { CAPABILITY_NAMES, type CapabilityName } from "../capabilities.ts";

/** What a filter returns (include/uapi/linux/seccomp.h): the kind in the upper, data in the lower half. */
export const RETURN = {
  KILL_PROCESS: 0x80000000,
  KILL_THREAD: 0,
  TRAP: 0x00030000,
  ERRNO: 0x00050000,
  TRACE: 0x7ff00000,
  USER_NOTIFY: 0x7fc00000,
  LOG: 0x7ffc0000,
  ALLOW: 0x7fff0000,
} as const;

/** A test of one argument, 64 bits wide: `(argument & mask) op value`. */
export interface ArgumentTest {
  /** 0 to 5. */
  readonly index: number;
  readonly op: "eq" | "ne" | "lt" | "le" | "gt" | "ge";
  readonly value: bigint;
  readonly mask: bigint;
}

/** When a rule counts, by facts of the host and the container. All that is given must hold. */
export interface Condition {
  /** Capabilities of the bounding set. */
  readonly capabilities?: readonly CapabilityName[];
  /** docker's names: `amd64`, `arm64`. */
  readonly architectures?: readonly string[];
  readonly minimumKernel?: readonly [major: number, minor: number];
}

export interface SeccompRule {
  readonly names: readonly string[];
  /** A value of {@link RETURN}, with its data. */
  readonly action: number;
  /** All must hold; empty: any arguments. */
  readonly tests: readonly ArgumentTest[];
  readonly includes?: Condition;
  /** The rule does not count when any one of these holds. */
  readonly excludes?: Condition;
}

export interface SeccompProfile {
  readonly defaultAction: number;
  readonly rules: readonly SeccompRule[];
  /** Log what is denied (SECCOMP_FILTER_FLAG_LOG). */
  readonly log: boolean;
}

export interface SeccompFacts {
  readonly architecture: Architecture;
  readonly kernel: readonly [major: number, minor: number];
  /** The bounding set, as a bit mask. */
  readonly capabilities: bigint;
}

/** What a filter does with one system call: tests in order, the first that holds decides, else `otherwise`. */
export interface CallVerdict {
  readonly conditional: readonly { tests: readonly ArgumentTest[]; action: number }[];
  readonly otherwise: number;
}

export interface ResolvedProfile {
  readonly defaultAction: number;
  /** By system call number; what is missing gets the default action. */
  readonly calls: ReadonlyMap<number, CallVerdict>;
  readonly log: boolean;
}

/**
 * A profile for one host and container: conditions decided, names turned into numbers. Names that the architecture does not
 * have are passed over, as docker does; `numberOf` is that of another ABI of the same machine. As in libseccomp, a rule without tests wins over rules with tests for the same call.
 */
export function resolveProfile(
  profile: SeccompProfile,
  facts: SeccompFacts,
  numberOf: (name: string) => number = (name) => syscallNumber(name, facts.architecture),
): ResolvedProfile {
  const calls = new Map<number, CallVerdict>();
  const settled = new Set<number>();
  for (const rule of profile.rules) {
    if (rule.action === profile.defaultAction || !ruleCounts(rule, facts)) continue;
    for (const name of rule.names) {
      const number = numberOf(name);
      if (number < 0 || settled.has(number)) continue;
      if (rule.tests.length === 0) {
        settled.add(number);
        calls.set(number, { conditional: [], otherwise: rule.action });
        continue;
      }
      const known = calls.get(number)?.conditional ?? [];
      calls.set(number, {
        conditional: [
          ...known,
          ...alternatives(rule.tests).map((tests) => ({ tests, action: rule.action })),
        ],
        otherwise: profile.defaultAction,
      });
    }
  }
  return { defaultAction: profile.defaultAction, calls, log: profile.log };
}

/**
 * Several tests of one argument are alternatives, not conditions that must hold together: that is how runc reads profiles,
 * since libseccomp could not express it otherwise, and profiles rely on it. Ranges are written with masks (`op` "ne" below
 * is our own and always a condition).
 */
function alternatives(tests: readonly ArgumentTest[]): (readonly ArgumentTest[])[] {
  const indexes = tests.filter((test) => test.op !== "ne").map((test) => test.index);
  return new Set(indexes).size === indexes.length ? [tests] : tests.map((test) => [test]);
}

/** Whether a rule counts for a host and container. */
export function ruleCounts(rule: SeccompRule, facts: SeccompFacts): boolean {
  const { includes = {}, excludes = {} } = rule;
  const hasAll = (includes.capabilities ?? []).every((name) => has(facts, name));
  const onArchitecture =
    includes.architectures === undefined ||
    includes.architectures.length === 0 ||
    includes.architectures.includes(dockerName(facts));
  const newEnough =
    includes.minimumKernel === undefined || isAtLeast(facts, includes.minimumKernel);
  const isExcluded =
    (excludes.capabilities ?? []).some((name) => has(facts, name)) ||
    (excludes.architectures ?? []).includes(dockerName(facts)) ||
    (excludes.minimumKernel !== undefined && isAtLeast(facts, excludes.minimumKernel));
  return hasAll && onArchitecture && newEnough && !isExcluded;
}

function dockerName(facts: SeccompFacts): string {
  return facts.architecture === "x64" ? "amd64" : "arm64";
}

function has(facts: SeccompFacts, name: CapabilityName): boolean {
  return ((facts.capabilities >> BigInt(CAPABILITY_NAMES.indexOf(name))) & 1n) === 1n;
}

function isAtLeast({ kernel }: SeccompFacts, minimum: readonly [number, number]): boolean {
  return kernel[0] > minimum[0] || (kernel[0] === minimum[0] && kernel[1] >= minimum[1]);
}

/** `6.1.0-28-amd64` to `[6, 1]`. */
export function kernelVersion(release: string): [major: number, minor: number] {
  const [, major = 0, minor = 0] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  return [Number(major), Number(minor)];
}
