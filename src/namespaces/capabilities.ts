import { invalidArgument } from "../base/error.ts";
import { type Operation, call } from "../base/operation.ts";
import { CAPABILITY_VERSION_3, PR } from "../kernel/flags.ts";

/** Capabilities by number, index = number. Source: include/uapi/linux/capability.h. */
export const CAPABILITY_NAMES = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_DAC_READ_SEARCH",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_LINUX_IMMUTABLE",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_BROADCAST",
  "CAP_NET_ADMIN",
  "CAP_NET_RAW",
  "CAP_IPC_LOCK",
  "CAP_IPC_OWNER",
  "CAP_SYS_MODULE",
  "CAP_SYS_RAWIO",
  "CAP_SYS_CHROOT",
  "CAP_SYS_PTRACE",
  "CAP_SYS_PACCT",
  "CAP_SYS_ADMIN",
  "CAP_SYS_BOOT",
  "CAP_SYS_NICE",
  "CAP_SYS_RESOURCE",
  "CAP_SYS_TIME",
  "CAP_SYS_TTY_CONFIG",
  "CAP_MKNOD",
  "CAP_LEASE",
  "CAP_AUDIT_WRITE",
  "CAP_AUDIT_CONTROL",
  "CAP_SETFCAP",
  "CAP_MAC_OVERRIDE",
  "CAP_MAC_ADMIN",
  "CAP_SYSLOG",
  "CAP_WAKE_ALARM",
  "CAP_BLOCK_SUSPEND",
  "CAP_AUDIT_READ",
  "CAP_PERFMON",
  "CAP_BPF",
  "CAP_CHECKPOINT_RESTORE",
] as const;

export type CapabilityName = (typeof CAPABILITY_NAMES)[number];

/** What a container has unless told otherwise: docker's list. */
export const DEFAULT_CAPABILITIES: readonly CapabilityName[] = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FSETID",
  "CAP_FOWNER",
  "CAP_MKNOD",
  "CAP_NET_RAW",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETFCAP",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_SYS_CHROOT",
  "CAP_KILL",
  "CAP_AUDIT_WRITE",
];

const NUMBERS: ReadonlyMap<string, number> = new Map(
  CAPABILITY_NAMES.map((name, number) => [name, number]),
);

/** What the host's kernel and the engine itself have; a set is a bit mask, bit = capability number. */
export interface CapabilityFacts {
  /** /proc/sys/kernel/cap_last_cap. */
  readonly lastCapability: number;
  /**
   * CapBnd of the engine (/proc/self/status) for a container in the host's user namespace: it can have none that the
   * engine lacks. All bits for a container in a user namespace of its own: there it starts with them all.
   */
  readonly available: bigint;
}

export interface CapabilityRequest {
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  readonly privileged: boolean;
}

/**
 * The set of a container's capabilities as a bit mask, by docker's rules: names with or without `CAP_`, in any case;
 * `ALL` in --cap-add starts from all that can be had, less what is dropped; `ALL` in --cap-drop starts from none; a
 * name both added and dropped is there. Privileged: all that can be had.
 *
 * @throws invalid-argument for an unknown name
 */
export function resolveCapabilities(request: CapabilityRequest, facts: CapabilityFacts): bigint {
  const known = (1n << BigInt(facts.lastCapability + 1)) - 1n;
  const all = known & facts.available;
  const add = readNames(request.capAdd, "CapAdd");
  const drop = readNames(request.capDrop, "CapDrop");
  if (request.privileged) return all;
  if (add.all) return all & ~drop.set;
  const start = drop.all ? 0n : maskOf(DEFAULT_CAPABILITIES) & ~drop.set;
  // One that was asked for by name and cannot be had fails at the start, with a hint, rather than vanish.
  return ((start & all) | add.set) & known;
}

function prefixed(name: string): string {
  return name.startsWith("CAP_") ? name : `CAP_${name}`;
}

function readNames(names: readonly string[], flag: string): { all: boolean; set: bigint } {
  let all = false;
  let set = 0n;
  for (const written of names) {
    const name = written.trim().toUpperCase();
    if (name === "ALL" || name === "CAP_ALL") {
      all = true;
      continue;
    }
    const number = NUMBERS.get(prefixed(name));
    if (number === undefined) {
      throw invalidArgument(
        `invalid ${flag}: unknown capability: ${JSON.stringify(prefixed(name))}`,
        "See capabilities(7) for the names; ALL stands for all of them",
      );
    }
    set |= 1n << BigInt(number);
  }
  return { all, set };
}

/** Names to a bit mask. */
export function maskOf(names: Iterable<CapabilityName>): bigint {
  let mask = 0n;
  for (const name of names) mask |= 1n << BigInt(NUMBERS.get(name) ?? 0);
  return mask;
}

/** A bit mask to names, in the order of their numbers. */
export function capabilityNames(mask: bigint): CapabilityName[] {
  return CAPABILITY_NAMES.filter((_, number) => ((mask >> BigInt(number)) & 1n) === 1n);
}

export interface CapabilityPlan {
  /** Of {@link resolveCapabilities}. */
  readonly bounding: bigint;
  /** Whether the process runs as root inside. */
  readonly isRoot: boolean;
  readonly lastCapability: number;
}

/**
 * Drops what is not in the bounding set, keeping the rest for now. Container side, while the process is still root
 * with all its capabilities (CAP_SETPCAP is needed).
 */
export function planBoundingSet(plan: CapabilityPlan): Operation[] {
  const operations: Operation[] = [];
  for (let number = 0; number <= plan.lastCapability; number++) {
    if (((plan.bounding >> BigInt(number)) & 1n) === 1n) continue;
    operations.push(
      call(
        "prctl",
        [PR.CAPBSET_DROP, number, 0, 0, 0],
        `take ${CAPABILITY_NAMES[number] ?? `capability ${number}`} away for good`,
      ),
    );
  }
  return operations;
}

/**
 * Sets the final sets. Container side, after the change of user (which alone would leave root all of them). Root: effective and permitted are the bounding set.
 * Another user: both empty, as docker does. Inheritable and ambient are always empty (CVE-2022-24769: docker has not
 * filled the inheritable set since 2022).
 */
export function planCapabilitySets(plan: CapabilityPlan): Operation[] {
  const set = plan.isRoot ? plan.bounding : 0n;
  return [
    call(
      "prctl",
      [PR.CAP_AMBIENT, PR.CAP_AMBIENT_CLEAR_ALL, 0, 0, 0],
      "clear the ambient capabilities",
    ),
    call(
      "capset",
      [capabilityHeader(), capabilityData(set)],
      set === 0n
        ? "give up all capabilities"
        : `keep ${capabilityNames(set).length} capabilities and give up the others`,
      { hints: { EPERM: "The engine itself lacks one of them; drop it with --cap-drop" } },
    ),
  ];
}

/** struct __user_cap_header_struct for the calling process. */
function capabilityHeader(): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(8));
  bytes.setUint32(0, CAPABILITY_VERSION_3, true);
  return new Uint8Array(bytes.buffer);
}

/** Two struct __user_cap_data_struct: effective, permitted, inheritable of the low and the high 32. */
function capabilityData(set: bigint): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(24));
  for (const half of [0, 1]) {
    const word = Number((set >> BigInt(32 * half)) & 0xffffffffn);
    bytes.setUint32(half * 12, word, true);
    bytes.setUint32(half * 12 + 4, word, true);
  }
  return new Uint8Array(bytes.buffer);
}
