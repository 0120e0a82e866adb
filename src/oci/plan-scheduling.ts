import { invalidArgument } from "../base/error.ts";
import { call, type Operation } from "../base/operation.ts";
import { parseList } from "../cgroups/cpuset.ts";
import type { SpecLinux, SpecProcess } from "../base/runtime-spec.ts";

const POLICIES: Readonly<Record<string, number>> = {
  SCHED_OTHER: 0,
  SCHED_FIFO: 1,
  SCHED_RR: 2,
  SCHED_BATCH: 3,
  SCHED_ISO: 4,
  SCHED_IDLE: 5,
  SCHED_DEADLINE: 6,
};

const FLAGS: Readonly<Record<string, number>> = {
  SCHED_FLAG_RESET_ON_FORK: 0x01,
  SCHED_FLAG_RECLAIM: 0x02,
  SCHED_FLAG_DL_OVERRUN: 0x04,
  SCHED_FLAG_KEEP_POLICY: 0x08,
  SCHED_FLAG_KEEP_PARAMS: 0x10,
  SCHED_FLAG_UTIL_CLAMP_MIN: 0x20,
  SCHED_FLAG_UTIL_CLAMP_MAX: 0x40,
};

const IO_CLASSES: Readonly<Record<string, number>> = {
  IOPRIO_CLASS_RT: 1,
  IOPRIO_CLASS_BE: 2,
  IOPRIO_CLASS_IDLE: 3,
};

const IOPRIO_WHO_PGRP = 2;
/** Size of struct sched_attr (sched_setattr(2)). */
const SCHED_ATTR_SIZE = 56;

function lookUp(table: Readonly<Record<string, number>>, name: string, what: string): number {
  const value = table[name];
  if (value === undefined) {
    throw invalidArgument(`Cannot use the ${what} ${JSON.stringify(name)}: there is no such`);
  }
  return value;
}

/** `process.scheduler` and `process.ioPriority`. By the process itself, before it gives up its powers. @throws invalid-argument */
export function planScheduling({ scheduler, ioPriority }: SpecProcess): Operation[] {
  const operations: Operation[] = [];
  if (scheduler !== undefined) {
    const { policy, nice = 0, priority = 0, runtime = 0, deadline = 0, period = 0 } = scheduler;
    const flags = (scheduler.flags ?? []).reduce(
      (sum, flag) => sum | lookUp(FLAGS, flag, "scheduling flag"),
      0,
    );
    operations.push(
      call(
        "sched_setattr",
        [
          0,
          {
            struct: [
              [4, SCHED_ATTR_SIZE],
              [4, lookUp(POLICIES, policy, "scheduling policy")],
              [8, flags],
              [4, nice],
              [4, priority],
              [8, runtime],
              [8, deadline],
              [8, period],
              [8, 0],
            ],
          },
          0,
        ],
        `be scheduled with ${policy}`,
      ),
    );
  }
  if (ioPriority !== undefined) {
    const { priority = 0 } = ioPriority;
    if (priority < 0 || priority > 7) {
      throw invalidArgument(`Cannot use the I/O priority ${priority}: it goes from 0 to 7`);
    }
    const value = (lookUp(IO_CLASSES, ioPriority.class, "I/O class") << 13) | priority;
    operations.push(
      call("ioprio_set", [IOPRIO_WHO_PGRP, 0, value], `do I/O with ${ioPriority.class}`),
    );
  }
  return operations;
}

const MODES: Readonly<Record<string, number>> = {
  MPOL_DEFAULT: 0,
  MPOL_PREFERRED: 1,
  MPOL_BIND: 2,
  MPOL_INTERLEAVE: 3,
  MPOL_LOCAL: 4,
  MPOL_PREFERRED_MANY: 5,
  MPOL_WEIGHTED_INTERLEAVE: 6,
};

const MODE_FLAGS: Readonly<Record<string, number>> = {
  MPOL_F_STATIC_NODES: 1 << 15,
  MPOL_F_RELATIVE_NODES: 1 << 14,
  MPOL_F_NUMA_BALANCING: 1 << 13,
};

/** `linux.memoryPolicy`. @throws invalid-argument */
export function planMemoryPolicy(policy: SpecLinux["memoryPolicy"]): Operation[] {
  if (policy === undefined) return [];
  const nodes = parseList(policy.nodes ?? "", "memory nodes");
  const mask = Buffer.alloc(128);
  for (const node of nodes) {
    if (node >= mask.length * 8) throw invalidArgument(`Cannot use memory node ${node}`);
    mask[node >> 3] = (mask[node >> 3] ?? 0) | (1 << (node & 7));
  }
  const mode = (policy.flags ?? []).reduce(
    (sum, flag) => sum | lookUp(MODE_FLAGS, flag, "memory policy flag"),
    lookUp(MODES, policy.mode, "memory policy"),
  );
  const args =
    nodes.length === 0 ? ([mode, null, 0] as const) : ([mode, mask, mask.length * 8] as const);
  return [call("set_mempolicy", args, `allocate memory with ${policy.mode}`)];
}

/** A list of CPUs for the calling process. @throws invalid-argument */
export function planAffinity(cpus: string | undefined): Operation[] {
  if (cpus === undefined || cpus === "") return [];
  const mask = Buffer.alloc(128);
  for (const cpu of parseList(cpus, "CPUs"))
    mask[cpu >> 3] = (mask[cpu >> 3] ?? 0) | (1 << (cpu & 7));
  return [call("sched_setaffinity", [0, mask.length, mask], `run on CPUs ${cpus}`)];
}
