import { invalidArgument, TiffinError } from "../base/error.ts";
import type { AvailableSets } from "./cpuset.ts";
import { type CgroupLayout, hierarchyOf } from "./layout.ts";
import type { Controller } from "./write.ts";

export type ParentOf = (containerId: string) => string;

/**
 * Where an engine's groups are: `HIERARCHY/tiffin/ENGINE-ID/CONTAINER-ID`, in every hierarchy the same. The names tell
 * the owner, so that what is there can be held against what should be. Below another parent the container's ID alone does.
 */
export class DriverPaths {
  readonly layout: CgroupLayout;
  readonly engineId: string;
  /** CPUs and memory nodes of the parent group on v1. */
  readonly parentSets: AvailableSets;
  private readonly countsTraffic: boolean;
  private readonly parentOf: ParentOf;

  /**
   * @param host.kernel its release: `6.1.0-40-amd64`
   * @param parentOf the group that a container was asked to be below, as {@link cleanParent} has it, or ""
   */
  constructor(
    layout: CgroupLayout,
    engineId: string,
    host: { parentSets: AvailableSets; kernel: string },
    parentOf: ParentOf = () => "",
  ) {
    if (!/^[\w.-]+$/.test(engineId) || engineId.startsWith(".")) {
      throw new TiffinError("internal", `Cannot name cgroups after engine "${engineId}"`);
    }
    this.layout = layout;
    this.engineId = engineId;
    this.parentSets = host.parentSets;
    this.countsTraffic = countsTrafficV1(host.kernel);
    this.parentOf = parentOf;
  }

  /** v1 hierarchies that every container is in, limits or not. */
  get alwaysJoined(): readonly Controller[] {
    // For use and OOM kills, and for the traffic of its disks. Without v2 also what kills, freezes and counts CPU time.
    const counted: readonly Controller[] = this.countsTraffic ? ["memory", "blkio"] : ["memory"];
    return this.layout.kind === "v1" ? [...counted, "cpuacct", "freezer", "pids"] : counted;
  }

  hierarchy(controller: Controller): string | undefined {
    return this.layout.kind === "v2" ? undefined : hierarchyOf(this.layout, controller);
  }

  /** @throws unavailable when the host has no such controller */
  required(controller: Controller): string {
    const path = this.hierarchy(controller);
    if (path === undefined) {
      throw new TiffinError(
        "unavailable",
        `Cannot limit ${controller}: the host has no ${controller} cgroup controller`,
        { hint: `Mount it: mount -t cgroup -o ${controller} none /sys/fs/cgroup/${controller}` },
      );
    }
    return path;
  }

  parent(hierarchy: string): string {
    return `${hierarchy}/tiffin/${this.engineId}`;
  }

  /** The groups above a container's, from the top: those that the engine made and takes away. */
  ancestors(hierarchy: string): string[] {
    return [`${hierarchy}/tiffin`, this.parent(hierarchy)];
  }

  group(hierarchy: string, containerId: string): string {
    return `${hierarchy}${this.below(containerId)}`;
  }

  /** A container's group below every hierarchy's root: runtime-spec's cgroupsPath. */
  below(containerId: string): string {
    const asked = this.parentOf(containerId);
    return asked === "" ? `${this.parent("")}/${containerId}` : `/${asked}/${containerId}`;
  }

  /** The container's v2 group. */
  unified(containerId: string): string | undefined {
    return this.layout.unified === null ? undefined : this.group(this.layout.unified, containerId);
  }

  oomEvents(containerId: string): string | undefined {
    if (this.layout.kind === "v2" && this.layout.unified !== null) {
      return `${this.group(this.layout.unified, containerId)}/memory.events`;
    }
    const memory = this.hierarchy("memory");
    return memory === undefined
      ? undefined
      : `${this.group(memory, containerId)}/memory.oom_control`;
  }

  /** Every mount point that may hold groups, v2 first. */
  mountPoints(): string[] {
    const v1 = this.layout.hierarchies
      .filter((hierarchy) => hierarchy.controllers.length > 0)
      .map((hierarchy) => hierarchy.mountPoint);
    return this.layout.unified === null ? v1 : [this.layout.unified, ...v1];
  }

  /** All places where a container may have a group. */
  groups(containerId: string): string[] {
    return this.mountPoints().map((mountPoint) => this.group(mountPoint, containerId));
  }

  /** Hierarchies without a controller (systemd's), where OCI runtimes make groups too. */
  namedMountPoints(): string[] {
    return this.layout.hierarchies
      .filter((hierarchy) => hierarchy.controllers.length === 0)
      .map((hierarchy) => hierarchy.mountPoint);
  }
}

/** `/a//b/` of --cgroup-parent as `a/b`, below every hierarchy's root. @throws invalid-argument for one that leads elsewhere */
export function cleanParent(asked: string): string {
  const parts = asked.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..") || asked.includes("\0") || asked.includes("\n")) {
    throw invalidArgument(`invalid cgroup parent "${asked}"`, "Use the path of a group: /my/group");
  }
  return parts.join("/");
}

/** Since 6.10 a v1 group counts traffic only for disks that somebody has limited (block/blk-throttle.h, blk_should_throtl). */
function countsTrafficV1(kernel: string): boolean {
  const [major = 0, minor = 0] = kernel.split(".").map(Number);
  return major < 6 || (major === 6 && minor < 10);
}
