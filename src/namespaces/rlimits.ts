import { invalidArgument } from "../base/error.ts";
import { type Operand, type Operation, call } from "../base/operation.ts";

/** Names as docker's --ulimit takes them. Source: asm-generic/resource.h. */
const NUMBERS: Readonly<Record<string, number>> = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  rss: 5,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  locks: 9,
  sigpending: 10,
  msgqueue: 11,
  nice: 12,
  rtprio: 13,
  rttime: 14,
};

export interface ResourceLimit {
  readonly name: string;
  /** -1: no limit. */
  readonly soft: number;
  readonly hard: number;
}

/**
 * prlimit64 on a process: the supervisor sets them on the container's first process (`pid` its register) before that one gives up its
 * privileges; with pid 0 a process sets its own.
 *
 * @throws invalid-argument for an unknown name, or soft above hard
 */
export function planRlimits(limits: readonly ResourceLimit[], pid: Operand): Operation[] {
  return limits.map((limit) => {
    const number = NUMBERS[limit.name];
    if (number === undefined) {
      throw invalidArgument(
        `Cannot set ulimit ${JSON.stringify(limit.name)}: there is no such limit`,
        `Use one of ${Object.keys(NUMBERS).join(", ")}`,
      );
    }
    if (limit.hard >= 0 && (limit.soft < 0 || limit.soft > limit.hard)) {
      throw invalidArgument(
        `Cannot set ulimit ${limit.name}: the soft limit ${limit.soft} is above the hard limit ${limit.hard}`,
      );
    }
    return call(
      "prlimit64",
      [
        pid,
        number,
        {
          struct: [
            [8, wordOf(limit.soft)],
            [8, wordOf(limit.hard)],
          ],
        },
        null,
      ],
      `set ulimit ${limit.name} to ${limit.soft}:${limit.hard}`,
      {
        hints: {
          EPERM:
            "A limit above the engine's own needs CAP_SYS_RESOURCE, which the engine lacks: ask for less",
        },
      },
    );
  });
}

/** A launch has some hundred descriptors open at once; with fewer it would fail. */
const LAUNCH_DESCRIPTORS = 1024;

/**
 * The limits that a process gets from its supervisor, and those that it lowers itself once its last file is open: a limit of
 * descriptors below what the launch needs.
 */
export function limitsByTime(limits: readonly ResourceLimit[]): {
  early: ResourceLimit[];
  late: ResourceLimit[];
} {
  const isTight = (limit: number): boolean => limit >= 0 && limit < LAUNCH_DESCRIPTORS;
  const late = limits.filter(({ name, soft }) => name === "nofile" && isTight(soft));
  const early = limits.flatMap((limit) => {
    if (!late.includes(limit)) return [limit];
    // Raising the hard limit is left to the supervisor, who may be allowed to.
    return isTight(limit.hard) ? [] : [{ ...limit, soft: LAUNCH_DESCRIPTORS }];
  });
  return { early, late };
}

/** RLIM_INFINITY for a negative limit. */
function wordOf(limit: number): bigint {
  return limit < 0 ? 0xffffffffffffffffn : BigInt(limit);
}

/**
 * Writes /proc/self/oom_score_adj, from -1000 to 1000. Run by whom it concerns (children inherit it), while the host's /proc is
 * there. Lowering it needs CAP_SYS_RESOURCE.
 *
 * @throws invalid-argument
 */
export function planOomScoreAdjust(value: number): Operation[] {
  if (!Number.isInteger(value) || value < -1000 || value > 1000) {
    throw invalidArgument(`Cannot use --oom-score-adj ${value}: it must be between -1000 and 1000`);
  }
  if (value === 0) return [];
  const text = Buffer.from(String(value));
  const file = { register: "oom" };
  return [
    call(
      "openat",
      [-100, "/proc/self/oom_score_adj", 0o2000001, 0],
      "open the score for the OOM killer",
      {
        result: "oom",
      },
    ),
    call("write", [file, text, text.length], `set the score for the OOM killer to ${value}`, {
      hints: { EACCES: "A lower score needs CAP_SYS_RESOURCE, which the engine lacks" },
    }),
  ];
}

/**
 * A session keyring of the container's own, so that it does not see the engine's keys, named by the container's id as docker
 * does. Container side, before privileges go.
 */
export function planKeyring(containerId: string): Operation[] {
  return [
    call("keyctl", [1, `_ses.${containerId}`, 0, 0, 0], "join a session keyring of its own", {
      // Without CONFIG_KEYS there is nothing to see; a full quota of keys must not keep a container from starting.
      okErrors: ["ENOSYS", "EDQUOT"],
    }),
  ];
}
