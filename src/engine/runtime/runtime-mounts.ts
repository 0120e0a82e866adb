import type { SpecMount } from "../../base/runtime-spec.ts";
import type { Operation } from "../../base/operation.ts";
import type { PlacedMount } from "../../launch/runtime-plan.ts";
import { planOutsideDevices } from "../../namespaces/devices.ts";
import { DEFAULT_SHM_BYTES } from "../../namespaces/kernel-mounts.ts";
import { clean, type DetachedMount } from "../../namespaces/mount-operations.ts";
import type { NamespacePlan } from "../../namespaces/namespaces.ts";
import { askedMounts, etcFiles, sharedMemory } from "../container-mounts.ts";
import type { StoredContainer } from "../container-table.ts";
import type { EngineContext } from "../context.ts";
import type { RequestedDevices } from "../host-devices.ts";
import type { MountPoint } from "../types.ts";

/** What a runtime mounts, and what of it the engine makes beforehand. */
export interface RuntimeMounts {
  /** For config.json, in the order of mounting. */
  readonly mounts: readonly SpecMount[];
  /** Makes the sources of binds, as detached mounts. */
  readonly prepare: readonly Operation[];
  readonly placed: readonly PlacedMount[];
  /** docker's, for binds that pass on mounts. */
  readonly rootPropagation: string | undefined;
}

interface MountParts {
  readonly namespaces: NamespacePlan;
  readonly devices: RequestedDevices;
  readonly joinPidfds: ReadonlyMap<string, number>;
  /** Where the runtime finds what the engine made. */
  readonly place: string;
}

/**
 * File systems of the kernel are the runtime's to mount. Binds and volumes are mounts that the engine makes, since only it knows of
 * ids, subpaths and what is to be read-only: the runtime binds them from where it finds them.
 */
export function runtimeMounts(
  context: EngineContext,
  container: StoredContainer,
  parts: MountParts,
): RuntimeMounts {
  const placing = new Placing(parts.place);
  const asked = askedMounts(context, container);
  const askedEntries = asked.map(({ mount, point }) =>
    point.type === "tmpfs" ? tmpfs(point) : placing.add(mount, propagationOf(point)),
  );
  const own = [
    ...kernelFilesystems(container, parts.namespaces),
    ...shared(context, container, parts).map((mount) =>
      "destination" in mount ? mount : placing.add(mount),
    ),
    ...planOutsideDevices(parts.devices.outside).map((mount) => placing.add(mount)),
    ...etcFiles(context, container).map((mount) => placing.add(mount)),
  ];
  return {
    mounts: inOrder(own, askedEntries),
    prepare: [
      ...asked.flatMap(({ prepare }) => prepare),
      ...placing.made.flatMap(({ make }) => make),
    ],
    placed: placing.placed,
    rootPropagation: rootPropagation(container.spec.mountPoints),
  };
}

class Placing {
  readonly made: DetachedMount[] = [];
  readonly placed: PlacedMount[] = [];
  private readonly place: string;

  constructor(place: string) {
    this.place = place;
  }

  add(mount: DetachedMount, propagation = "rprivate"): SpecMount {
    const name = String(this.placed.length);
    this.made.push(mount);
    const kind = mount.targetKind === "file" ? "file" : "directory";
    this.placed.push({ mount: mount.mount, name, kind });
    return {
      destination: mount.target,
      type: "bind",
      source: `${this.place}/${name}`,
      options: ["rbind", propagation],
    };
  }
}

function kernelFilesystems(
  { spec, idBase }: StoredContainer,
  namespaces: NamespacePlan,
): SpecMount[] {
  const sealed = ["nosuid", "noexec", "nodev"];
  const kernel = spec.privileged ? sealed : [...sealed, "ro"];
  return [
    { destination: "/proc", type: "proc", source: "proc", options: sealed },
    {
      destination: "/dev",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
    },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    ...(namespaces.ipc === "host"
      ? []
      : [{ destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: sealed }]),
    { destination: "/sys", type: "sysfs", source: "sysfs", options: kernel },
    // The host's cgroups are not for who has ids of its own.
    ...(namespaces.newCgroup || idBase === 0
      ? [{ destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: kernel }]
      : []),
  ];
}

function shared(
  context: EngineContext,
  container: StoredContainer,
  parts: MountParts,
): (SpecMount | DetachedMount)[] {
  const { ipc } = parts.namespaces;
  if (ipc === "host" || ipc === "shared") return sharedMemory(context, container, parts);
  if (ipc === "none") return [];
  const bytes = container.spec.shmBytes || DEFAULT_SHM_BYTES;
  return [
    {
      destination: "/dev/shm",
      type: "tmpfs",
      source: "shm",
      options: ["nosuid", "noexec", "nodev", "mode=1777", `size=${bytes}`],
    },
  ];
}

/** docker's defaults come first; the kernel takes the last word of a kind. */
function tmpfs({ target, options, readOnly }: MountPoint): SpecMount {
  const hasMode = options.some((option) => option.startsWith("mode="));
  return {
    destination: target,
    type: "tmpfs",
    source: "tmpfs",
    options: [
      "noexec",
      "nosuid",
      "nodev",
      ...(hasMode ? [] : ["mode=1777"]),
      ...options,
      ...(readOnly ? ["ro"] : []),
    ],
  };
}

function propagationOf({ propagation }: MountPoint): string {
  return propagation === "" ? "rprivate" : propagation;
}

function rootPropagation(points: readonly MountPoint[]): string | undefined {
  const kinds = points.map(({ propagation }) => propagation.replace(/^r/, ""));
  if (kinds.includes("shared")) return "shared";
  return kinds.includes("slave") ? "rslave" : undefined;
}

/** As the engine's own (orderMounts): parents first, what was asked for in the place of what is usual. */
function inOrder(usual: readonly SpecMount[], asked: readonly SpecMount[]): SpecMount[] {
  const replaced = new Set(asked.map(({ destination }) => clean(destination)));
  return [...usual.filter(({ destination }) => !replaced.has(clean(destination))), ...asked]
    .map((mount, index) => ({ mount, index, depth: clean(mount.destination).split("/").length }))
    .sort((a, b) => a.depth - b.depth || a.index - b.index)
    .map(({ mount }) => mount);
}
