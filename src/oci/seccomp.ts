import { invalidArgument } from "../base/error.ts";
import { call, type Operation } from "../base/operation.ts";
import { type Architecture, syscallNumber } from "../base/syscall-number.ts";
import { ARCHITECTURE } from "../kernel/syscall.ts";
import { type Abi, compileForAbis } from "../namespaces/seccomp/compile.ts";
import { readProfile } from "../namespaces/seccomp/docker-profile.ts";
import { type ResolvedProfile, resolveProfile, RETURN } from "../namespaces/seccomp/profile.ts";
import { x86CallNumber } from "../namespaces/seccomp/x86-calls.ts";
import { keptRegister } from "./plan-process.ts";
import type { SpecSeccomp } from "../base/runtime-spec.ts";

export interface SeccompPlan {
  readonly operations: readonly Operation[];
  /** SCMP_ACT_NOTIFY is used: whoever listens at the path gets the filter's descriptor, in register `listener`. */
  readonly notify?: { readonly path: string; readonly metadata: string };
}

const SET_MODE_FILTER = 1;
const FLAGS: Readonly<Record<string, number>> = {
  // With one thread there is nobody to synchronise with.
  SECCOMP_FILTER_FLAG_TSYNC: 0,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: 0x20,
};
const NEW_LISTENER = 8;

/** libseccomp's names. Programs of other machines do not run here: a rule for them is never met. */
const ABIS: Readonly<Record<string, { abi: Abi; machine: Architecture }>> = {
  SCMP_ARCH_X86_64: { abi: "x64", machine: "x64" },
  SCMP_ARCH_X86: { abi: "x86", machine: "x64" },
  SCMP_ARCH_X32: { abi: "x32", machine: "x64" },
  SCMP_ARCH_AARCH64: { abi: "arm64", machine: "arm64" },
};

const OTHER_ARCHITECTURES = new Set(
  [
    "ARM",
    "MIPS",
    "MIPS64",
    "MIPS64N32",
    "MIPSEL",
    "MIPSEL64",
    "MIPSEL64N32",
    "PPC",
    "PPC64",
    "PPC64LE",
    "S390",
    "S390X",
    "PARISC",
    "PARISC64",
    "RISCV64",
    "LOONGARCH64",
    "M68K",
    "SH",
    "SHEB",
  ].map((name) => `SCMP_ARCH_${name}`),
);

/**
 * `linux.seccomp` compiled (config-linux.md, "Seccomp"): the machine's own calls always, those of its other ABIs when they are
 * listed; programs of an ABI that is not end with SIGSYS. @throws invalid-argument
 */
export function planSeccomp(seccomp: SpecSeccomp | undefined): SeccompPlan {
  if (seccomp === undefined) return { operations: [] };
  refuseUselessErrno(seccomp);
  const { flags: words = [], architectures = [], ...rest } = seccomp;
  const profile = readProfile({ ...rest, flags: [] });
  const facts = { architecture: ARCHITECTURE, kernel: [0, 0] as const, capabilities: 0n };
  const profiles = new Map<Abi, ResolvedProfile>();
  for (const abi of abisOf(architectures)) {
    const numberOf = abi === "x86" ? x86CallNumber : undefined;
    profiles.set(abi, resolveProfile(profile, facts, numberOf));
  }
  const program = compileForAbis(profiles);
  const notify = [...profiles.values()].some(usesNotify);
  if (notify) checkNotify(seccomp, profiles);
  const flags = words.reduce((sum, word) => sum | flagOf(word), notify ? NEW_LISTENER : 0);
  const description = {
    struct: [
      [2, program.length / 8],
      [2, 0],
      [4, 0],
      [8, program],
    ] as const,
  };
  return {
    operations: [
      call(
        "seccomp",
        [SET_MODE_FILTER, flags, description],
        "filter the system calls that it may make",
        {
          ...(notify && { result: "listener" }),
          hints: { EINVAL: "The kernel lacks CONFIG_SECCOMP_FILTER, or one of the flags" },
        },
      ),
      ...(notify
        ? [
            {
              control: "signal" as const,
              eventfd: keptRegister("listening"),
              reason: "tell that the filter is there",
            },
          ]
        : []),
    ],
    ...(notify && {
      notify: { path: seccomp.listenerPath ?? "", metadata: seccomp.listenerMetadata ?? "" },
    }),
  };
}

function abisOf(architectures: readonly string[]): Set<Abi> {
  const abis = new Set<Abi>([ARCHITECTURE]);
  for (const name of architectures) {
    const known = ABIS[name];
    if (known === undefined && !OTHER_ARCHITECTURES.has(name)) {
      throw invalidArgument(`Cannot use the seccomp profile: there is no architecture "${name}"`);
    }
    if (known?.machine === ARCHITECTURE) abis.add(known.abi);
  }
  return abis;
}

function flagOf(word: string): number {
  const flag = FLAGS[word];
  if (flag === undefined) {
    throw invalidArgument(`Cannot use the seccomp profile: there is no flag "${word}"`);
  }
  return flag;
}

/** "When the action doesn't support an errno, the runtime MUST print an error and fail." */
function refuseUselessErrno({ defaultAction, defaultErrnoRet, syscalls }: SpecSeccomp): void {
  const rules = (syscalls ?? []) as readonly { action?: unknown; errnoRet?: unknown }[];
  const all = [{ action: defaultAction, errnoRet: defaultErrnoRet }, ...rules];
  const wrong = all.find(
    ({ action, errnoRet }) =>
      errnoRet !== undefined && action !== "SCMP_ACT_ERRNO" && action !== "SCMP_ACT_TRACE",
  );
  if (wrong === undefined) return;
  throw invalidArgument(
    `Cannot use the seccomp profile: ${String(wrong.action)} takes no error number`,
  );
}

function usesNotify({ defaultAction, calls }: ResolvedProfile): boolean {
  if (defaultAction === RETURN.USER_NOTIFY) return true;
  return [...calls.values()].some(isNotify);
}

function isNotify(verdict: {
  otherwise: number;
  conditional: readonly { action: number }[];
}): boolean {
  const actions = [verdict.otherwise, ...verdict.conditional.map(({ action }) => action)];
  return actions.includes(RETURN.USER_NOTIFY);
}

/** @throws invalid-argument when the process could not even say that its filter is there */
function checkNotify(seccomp: SpecSeccomp, profiles: ReadonlyMap<Abi, ResolvedProfile>): void {
  if (seccomp.listenerPath === undefined || seccomp.listenerPath === "") {
    throw invalidArgument("Cannot use SCMP_ACT_NOTIFY: listenerPath is missing");
  }
  const own = profiles.get(ARCHITECTURE);
  const verdict = own?.calls.get(syscallNumber("write", ARCHITECTURE));
  const isWriteNotified = verdict ? isNotify(verdict) : own?.defaultAction === RETURN.USER_NOTIFY;
  if (isWriteNotified) {
    throw invalidArgument("Cannot use SCMP_ACT_NOTIFY for write: the runtime itself needs it");
  }
}

/** For `features`, by machine. */
export const SECCOMP_NAMES: Readonly<Record<Architecture, object>> = {
  x64: seccompNames("x64"),
  arm64: seccompNames("arm64"),
};

function seccompNames(machine: Architecture): object {
  const architectures = Object.keys(ABIS).filter((name) => ABIS[name]?.machine === machine);
  return {
    actions: [
      "SCMP_ACT_ALLOW",
      "SCMP_ACT_ERRNO",
      "SCMP_ACT_KILL",
      "SCMP_ACT_KILL_PROCESS",
      "SCMP_ACT_KILL_THREAD",
      "SCMP_ACT_LOG",
      "SCMP_ACT_NOTIFY",
      "SCMP_ACT_TRACE",
      "SCMP_ACT_TRAP",
    ],
    operators: [
      "SCMP_CMP_EQ",
      "SCMP_CMP_GE",
      "SCMP_CMP_GT",
      "SCMP_CMP_LE",
      "SCMP_CMP_LT",
      "SCMP_CMP_MASKED_EQ",
      "SCMP_CMP_NE",
    ],
    archs: architectures,
    knownFlags: Object.keys(FLAGS),
    supportedFlags: Object.keys(FLAGS),
  };
}
