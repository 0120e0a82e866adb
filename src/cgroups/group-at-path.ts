import { release } from "node:os";
import { ERRNO } from "../base/errno.ts";
import { AT } from "../kernel/flags.ts";
import { syscallError, syscallRaw } from "../kernel/syscall.ts";
import { type CgroupLayout, hierarchyOf } from "./layout.ts";
import { readParentSets } from "./parents.ts";
import { DriverPaths } from "./paths.ts";
import type { Controller } from "./write.ts";

/** What a caller may look for at the group's path, whether anything is limited or not (those that the host has). */
const USUAL: readonly Controller[] = [
  "memory",
  "cpu",
  "cpuacct",
  "blkio",
  "pids",
  "devices",
  "freezer",
];

/** One group at a path that somebody else chose, in every hierarchy the same: `HIERARCHY/PATH`. */
export class GroupAtPath extends DriverPaths {
  /** Absolute, plain, below the mount point. */
  readonly path: string;
  private readonly usesCpuset: boolean;

  constructor(layout: CgroupLayout, path: string, usesCpuset: boolean) {
    const parentSets = usesCpuset ? readParentSets(layout) : { cpus: "", mems: "" };
    super(layout, "oci", { parentSets, kernel: release() });
    this.path = path;
    this.usesCpuset = usesCpuset;
  }

  /** The group's own name: what the driver's functions take for a container's id. */
  get name(): string {
    return this.path.slice(this.path.lastIndexOf("/") + 1);
  }

  override get alwaysJoined(): readonly Controller[] {
    return USUAL;
  }

  override group(hierarchy: string): string {
    return `${hierarchy}${this.path}`;
  }

  /** A v1 cpuset group takes nobody before it has CPUs and memory nodes: it is left alone when nobody asks for any. */
  override hierarchy(controller: Controller): string | undefined {
    if (controller === "cpuset" && !this.usesCpuset) return undefined;
    return this.layout.kind === "v2" ? undefined : hierarchyOf(this.layout, controller);
  }

  override parent(hierarchy: string): string {
    return `${hierarchy}${this.path.slice(0, this.path.lastIndexOf("/"))}`;
  }

  override ancestors(hierarchy: string): string[] {
    const parts = this.path.split("/").slice(1, -1);
    return parts.map((_, index) => `${hierarchy}/${parts.slice(0, index + 1).join("/")}`);
  }

  override mountPoints(): string[] {
    return super
      .mountPoints()
      .filter((mountPoint) => this.usesCpuset || mountPoint !== hierarchyOf(this.layout, "cpuset"));
  }

  /** What is there is not for this runtime to take away. */
  override namedMountPoints(): string[] {
    return [];
  }

  /** Makes the groups above that are missing. Returns those that it made, from the top. */
  makeAncestors(): string[] {
    const made: string[] = [];
    for (const mountPoint of this.mountPoints()) {
      for (const directory of this.ancestors(mountPoint)) {
        const result = syscallRaw("mkdirat", AT.FDCWD, directory, 0o755);
        if (result === 0) made.push(directory);
        else if (result !== -ERRNO.EEXIST) {
          throw syscallError("mkdirat", result, `make the cgroup ${directory}`);
        }
      }
    }
    return made;
  }
}
