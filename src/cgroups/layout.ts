import { readFileSync } from "node:fs";
import { TiffinError } from "../base/error.ts";

/** A cgroup v1 hierarchy. */
export interface Hierarchy {
  readonly mountPoint: string;
  /** Its controllers; empty for a named one such as systemd's. */
  readonly controllers: readonly string[];
  /** `systemd` for name=systemd. */
  readonly name: string;
}

export interface CgroupLayout {
  /**
   * v1: every controller in a hierarchy of its own. v2: one hierarchy with all. hybrid: controllers in v1 hierarchies, and
   * a v2 hierarchy without (or with few) controllers beside them, which can kill, freeze and tell pressure.
   */
  readonly kind: "v1" | "v2" | "hybrid";
  /** Where cgroup v2 is mounted, or null. */
  readonly unified: string | null;
  readonly hierarchies: readonly Hierarchy[];
}

/**
 * Reads how the host has its cgroups mounted.
 *
 * @param mountinfo text of /proc/self/mountinfo (proc_pid_mountinfo(5))
 * @throws unavailable when no usable cgroup file system is mounted
 */
export function parseLayout(mountinfo: string): CgroupLayout {
  let unified: string | null = null;
  const hierarchies: Hierarchy[] = [];
  for (const line of mountinfo.split("\n")) {
    const [before, after] = line.split(" - ");
    const mountPoint = before?.split(" ")[4];
    const [type, , options] = after?.split(" ") ?? [];
    if (mountPoint === undefined || options === undefined) continue;
    const path = unescapeMountPoint(mountPoint);
    // A bind of a part elsewhere must not win over the usual place, which is mounted first.
    if (type === "cgroup2") unified ??= path;
    if (type !== "cgroup") continue;
    const words = options.split(",");
    const name = words.find((word) => word.startsWith("name="))?.slice("name=".length) ?? "";
    const controllers = words.filter((word) => CONTROLLERS_V1.has(word));
    if (controllers.length === 0 && name === "") continue;
    if (hierarchies.some((known) => sameHierarchy(known, controllers, name))) continue;
    hierarchies.push({ mountPoint: path, controllers, name });
  }
  const hasControllers = hierarchies.some((hierarchy) => hierarchy.controllers.length > 0);
  if (!hasControllers && unified === null) {
    throw new TiffinError("unavailable", "Cannot find the host's cgroups: none are mounted", {
      hint: "Mount them: mount -t cgroup2 none /sys/fs/cgroup",
    });
  }
  const kind = !hasControllers ? "v2" : unified === null ? "v1" : "hybrid";
  return { kind, unified, hierarchies };
}

const CONTROLLERS_V1 = new Set([
  "blkio",
  "cpu",
  "cpuacct",
  "cpuset",
  "debug",
  "devices",
  "freezer",
  "hugetlb",
  "memory",
  "misc",
  "net_cls",
  "net_prio",
  "perf_event",
  "pids",
  "rdma",
]);

function sameHierarchy(known: Hierarchy, controllers: readonly string[], name: string): boolean {
  return known.name === name && known.controllers.join() === controllers.join();
}

/** Blanks, tabs, newlines and backslashes are octal in mountinfo. */
function unescapeMountPoint(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

export function readLayout(): CgroupLayout {
  return parseLayout(readFileSync("/proc/self/mountinfo", "utf8"));
}

/** The mount point of the v1 hierarchy that has a controller, or undefined. */
export function hierarchyOf(layout: CgroupLayout, controller: string): string | undefined {
  return layout.hierarchies.find((hierarchy) => hierarchy.controllers.includes(controller))
    ?.mountPoint;
}
