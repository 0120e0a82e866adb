import { invalidArgument } from "../base/error.ts";
import type { Resources } from "./resources.ts";
import type { Support } from "./support.ts";

type Field = keyof Resources;

interface Rule {
  readonly support: keyof Support;
  readonly fields: readonly Field[];
  /** Docker's. */
  readonly warning: string;
}

const NOT_MOUNTED = "or the cgroup is not mounted.";

const RULES: readonly Rule[] = [
  {
    support: "memory",
    fields: ["memoryBytes", "memorySwapBytes"],
    warning: `Your kernel does not support memory limit capabilities ${NOT_MOUNTED} Limitation discarded.`,
  },
  {
    support: "swappiness",
    fields: ["memorySwappiness"],
    warning: `Your kernel does not support memory swappiness capabilities ${NOT_MOUNTED} Memory swappiness discarded.`,
  },
  {
    support: "memoryReservation",
    fields: ["memoryReservationBytes"],
    warning: `Your kernel does not support memory soft limit capabilities ${NOT_MOUNTED} Limitation discarded.`,
  },
  {
    support: "oomKillDisable",
    fields: ["oomKillDisable"],
    warning: "Your kernel does not support OomKillDisable. OomKillDisable discarded.",
  },
  {
    support: "pids",
    fields: ["pidsLimit"],
    warning: `Your kernel does not support PIDs limit capabilities ${NOT_MOUNTED} PIDs limit discarded.`,
  },
  {
    support: "cpuShares",
    fields: ["cpuShares"],
    warning: `Your kernel does not support CPU shares ${NOT_MOUNTED} Shares discarded.`,
  },
  {
    support: "cpuQuota",
    fields: ["cpuPeriodMicroseconds", "cpuQuotaMicroseconds"],
    warning: "Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.",
  },
  {
    support: "cpuset",
    fields: ["cpusetCpus", "cpusetMems"],
    warning: `Your kernel does not support cpuset ${NOT_MOUNTED} Cpuset discarded.`,
  },
  {
    support: "blkioWeight",
    fields: ["blkioWeight"],
    warning: `Your kernel does not support Block I/O weight ${NOT_MOUNTED} Weight discarded.`,
  },
  {
    support: "blkioWeightDevice",
    fields: ["blkioWeightDevices"],
    warning: `Your kernel does not support Block I/O weight_device ${NOT_MOUNTED} Weight-device discarded.`,
  },
  throttle("blkioReadBps", "BPS Block I/O read limit", "Block I/O BPS read limit"),
  throttle("blkioWriteBps", "BPS Block I/O write limit", "Block I/O BPS write limit"),
  throttle("blkioReadIops", "IOPS Block read limit", "Block I/O IOPS read limit"),
  throttle("blkioWriteIops", "IOPS Block write limit", "Block I/O IOPS write limit"),
];

function throttle(field: keyof Support & Field, what: string, discarded: string): Rule {
  const warning = `Your kernel does not support ${what} ${NOT_MOUNTED} ${discarded} discarded.`;
  return { support: field, fields: [field], warning };
}

/**
 * Leaves out the limits that the host's kernel does not have, and says so; docker refuses two of them.
 * @throws invalid-argument, in docker's words: CPUs and real-time without support
 */
export function discardUnsupported(
  resources: Resources,
  support: Support,
): { resources: Resources; warnings: string[] } {
  if (!support.cpuQuota && (resources.nanoCpus ?? 0) > 0) {
    throw invalidArgument(
      `NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler ${NOT_MOUNTED.slice(0, -1)}`,
    );
  }
  const { cpuRealtimePeriodMicroseconds = 0, cpuRealtimeRuntimeMicroseconds = 0 } = resources;
  const wantsRealtime = cpuRealtimePeriodMicroseconds !== 0 || cpuRealtimeRuntimeMicroseconds !== 0;
  if (!support.cpuRealtime && wantsRealtime) {
    throw invalidArgument("kernel does not support CPU real-time scheduler");
  }
  const warnings: string[] = [];
  const gone = new Set<Field>();
  for (const rule of RULES) {
    const asked = rule.fields.filter((field) => isAsked(resources[field]));
    if (support[rule.support] || asked.length === 0) continue;
    warnings.push(rule.warning);
    for (const field of asked) gone.add(field);
  }
  // As docker has it: where there is no such switch, it is not shown as off either.
  if (!support.oomKillDisable) gone.add("oomKillDisable");
  const kept = Object.fromEntries(
    Object.entries(resources).filter(([field]) => !gone.has(field as Field)),
  ) as Resources;
  return withoutSwap(kept, support, warnings);
}

function isAsked(value: Resources[Field]): boolean {
  return Array.isArray(value) ? value.length > 0 : Boolean(value ?? false) || value === 0;
}

/** Limited memory without swap accounting: swap is then free. */
function withoutSwap(
  resources: Resources,
  support: Support,
  warnings: string[],
): { resources: Resources; warnings: string[] } {
  const { memoryBytes = 0, memorySwapBytes = 0, oomKillDisable = false } = resources;
  if (oomKillDisable && memoryBytes === 0) {
    warnings.push(
      "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.",
    );
  }
  if (support.swap || memoryBytes === 0 || memorySwapBytes === -1) return { resources, warnings };
  warnings.push(
    `Your kernel does not support swap limit capabilities ${NOT_MOUNTED} Memory limited without swap.`,
  );
  return { resources: { ...resources, memorySwapBytes: -1 }, warnings };
}
