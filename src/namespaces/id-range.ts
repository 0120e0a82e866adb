import { TiffinError, invalidArgument } from "../base/error.ts";

/** Ids in each container's range: all that 16-bit programs and distributions use, `nobody` (65534) included. */
export const RANGE_SIZE = 0x10000;

/**
 * Where ranges lie: 1879048192 to 2147352575. systemd documents the part as unused: it is above the ids that
 * systemd-nspawn takes (524288-1879048191), far above /etc/subuid's (100000-600100000), below its foreign images' ids
 * and below 2^31, where some programs and file systems break (https://systemd.io/UIDS-GIDS). A base has its lower 16
 * bits clear, as that page asks of container managers: host id = base | container id.
 */
export const FIRST_BASE = 0x70000000;
export const LAST_BASE = 0x7ffd0000;
const RANGES = (LAST_BASE - FIRST_BASE) / RANGE_SIZE + 1;

/**
 * A free base. Engines that live side by side start at different places (`seed`: any text, such as the engine's id), so
 * that their ranges seldom meet.
 *
 * @throws resource-exhausted when all 4094 are in use
 */
export function allocateRange(used: ReadonlySet<number>, seed: string): number {
  let start = 0;
  for (const char of seed) start = (start * 31 + (char.codePointAt(0) ?? 0)) % RANGES;
  for (let step = 0; step < RANGES; step++) {
    const base = FIRST_BASE + ((start + step) % RANGES) * RANGE_SIZE;
    if (!used.has(base)) return base;
  }
  throw new TiffinError(
    "resource-exhausted",
    `Cannot find a range of user ids: all ${RANGES} are in use`,
    {
      hint: "Remove containers that are no longer needed, or use --userns=host",
    },
  );
}

/** The text for uid_map and gid_map of a container's user namespace (user_namespaces(7)). */
export function mapText(base: number): string {
  return `0 ${base} ${RANGE_SIZE}\n`;
}

/** The host's id for an id inside; base 0 (no user namespace) maps one to one. */
export function toHostId(base: number, id: number): number {
  if (base === 0) return id;
  if (id < 0 || id >= RANGE_SIZE) {
    throw invalidArgument(
      `Cannot use id ${id}: a container's ids go from 0 to ${RANGE_SIZE - 1}`,
      "Use --userns=host for higher ids",
    );
  }
  return base + id;
}

/** The id inside for a host's id, or undefined when the range does not hold it (it shows as nobody inside). */
export function toContainerId(base: number, hostId: number): number | undefined {
  if (base === 0) return hostId;
  return hostId >= base && hostId < base + RANGE_SIZE ? hostId - base : undefined;
}

/**
 * The map of an idmapped `:me` bind: what the host's id `owner` owns on disk, the container's id `user` owns inside, both
 * ways. All other ids are one to one, except the two that the pairing displaces: on disk, files of id `user` (host
 * root's, for a container that runs as root) show as nobody, and inside, id `owner` cannot create files (EOVERFLOW).
 * Swapping those two instead would let a container's plain user make files of the host's root.
 *
 * Text for uid_map (or gid_map) of the user namespace that MOUNT_ATTR_IDMAP takes: `ON-DISK HOST COUNT` a line.
 */
export function ownerMapText(map: { owner: number; user: number; base: number }): string {
  const { owner, user, base } = map;
  const lines = [`${owner} ${toHostId(base, user)} 1`];
  const displaced = [owner, user].filter((id) => id < RANGE_SIZE).sort((a, b) => a - b);
  let start = 0;
  for (const id of [...new Set(displaced), RANGE_SIZE]) {
    if (id > start) lines.push(`${start} ${base + start} ${id - start}`);
    start = id + 1;
  }
  return `${lines.join("\n")}\n`;
}
