import { readFileSync } from "node:fs";
import { call, type Operation } from "../base/operation.ts";
import { CAPABILITY_VERSION_3, PR } from "../kernel/flags.ts";
import {
  CAPABILITY_NAMES,
  type CapabilityName,
  planBoundingSet,
} from "../namespaces/capabilities.ts";
import type { SpecCapabilities, SpecUser } from "../base/runtime-spec.ts";

/** The five sets as bit masks. */
export interface CapabilitySets {
  readonly bounding: bigint;
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly inheritable: bigint;
  readonly ambient: bigint;
}

const SETS = ["bounding", "effective", "permitted", "inheritable", "ambient"] as const;
const PR_SET_KEEPCAPS = 8;
const PR_CAP_AMBIENT_RAISE = 2;

/**
 * `process.capabilities` as sets that can be had. What cannot is a warning and not a failure, as the specification asks.
 * @param available bit mask of what the runtime can give (all of them in a new user namespace)
 */
export function readCapabilities(
  asked: SpecCapabilities | undefined,
  available: bigint,
  warn: (text: string) => void,
): CapabilitySets {
  const sets: Record<(typeof SETS)[number], bigint> = {
    bounding: 0n,
    effective: 0n,
    permitted: 0n,
    inheritable: 0n,
    ambient: 0n,
  };
  const refused = new Set<string>();
  for (const set of SETS) {
    for (const name of asked?.[set] ?? []) {
      const number = CAPABILITY_NAMES.indexOf(name as CapabilityName);
      const bit = number < 0 ? 0n : 1n << BigInt(number);
      if ((bit & available) === 0n) refused.add(name);
      else sets[set] |= bit;
    }
  }
  for (const name of refused) warn(`the capability ${name} cannot be given`);
  // The kernel holds these to each other (capabilities(7)).
  const usable = sets.ambient & sets.permitted & sets.inheritable;
  if (usable !== sets.ambient) {
    warn("ambient capabilities that are not both permitted and inheritable cannot be given");
  }
  return { ...sets, effective: sets.effective & sets.permitted, ambient: usable };
}

/** What this process may give: its bounding set that is also permitted. */
export function availableCapabilities(): bigint {
  const status = readFileSync("/proc/self/status", "utf8");
  const mask = (name: string): bigint =>
    BigInt(`0x${new RegExp(`^${name}:\\s*([0-9a-f]+)`, "m").exec(status)?.[1] ?? "0"}`);
  return mask("CapBnd") & mask("CapPrm");
}

/** /proc/sys/kernel/cap_last_cap. */
export function lastCapability(): number {
  return Number(readFileSync("/proc/sys/kernel/cap_last_cap", "utf8"));
}

/** Bounding set, groups, ids, then the other sets. Container side, with all capabilities still there. */
export function planCredentials(user: SpecUser, sets: CapabilitySets, last: number): Operation[] {
  const { uid = 0, gid = 0, additionalGids = [] } = user;
  const groups = Buffer.alloc(additionalGids.length * 4);
  additionalGids.forEach((group, index) => groups.writeUInt32LE(group, index * 4));
  const keeps = uid !== 0 && sets.permitted !== 0n;
  return [
    ...planBoundingSet({ bounding: sets.bounding, isRoot: uid === 0, lastCapability: last }),
    call("prctl", [PR_SET_KEEPCAPS, keeps ? 1 : 0, 0, 0, 0], "say whether capabilities stay"),
    call(
      "setgroups",
      [additionalGids.length, groups.length === 0 ? null : groups],
      "set the supplementary groups",
      // Refused in a user namespace whose owner gave that up; there are none to set then.
      additionalGids.length === 0 ? { okErrors: ["EPERM"] } : {},
    ),
    call("setresgid", [gid, gid, gid], `become group ${gid}`),
    call("setresuid", [uid, uid, uid], `become user ${uid}`),
    call(
      "prctl",
      [PR.CAP_AMBIENT, PR.CAP_AMBIENT_CLEAR_ALL, 0, 0, 0],
      "clear the ambient capabilities",
    ),
    call("capset", [capabilityHeader(), capabilityData(sets)], "set the capabilities"),
    ...CAPABILITY_NAMES.flatMap((name, number) =>
      ((sets.ambient >> BigInt(number)) & 1n) === 0n
        ? []
        : [
            call(
              "prctl",
              [PR.CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0],
              `keep ${name} across programs`,
            ),
          ],
    ),
  ];
}

/** struct __user_cap_header_struct for the calling process. */
function capabilityHeader(): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(CAPABILITY_VERSION_3, 0);
  return bytes;
}

/** Two struct __user_cap_data_struct: effective, permitted, inheritable of the low and the high 32. */
function capabilityData({ effective, permitted, inheritable }: CapabilitySets): Uint8Array {
  const bytes = Buffer.alloc(24);
  for (const half of [0, 1]) {
    [effective, permitted, inheritable].forEach((set, index) => {
      const word = Number((set >> BigInt(32 * half)) & 0xffffffffn);
      bytes.writeUInt32LE(word, half * 12 + index * 4);
    });
  }
  return bytes;
}
