import { existsSync, mkdirSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { ERRNO, errnoName } from "../base/errno.ts";
import { invalidArgument, TiffinError } from "../base/error.ts";
import { type Operation, type Register, register } from "../base/operation.ts";
import type { CgroupPlan } from "../cgroups/plan.ts";
import { closeDescriptor, openat2, openat2Raw, statusOf } from "../kernel/files.ts";
import { AT, O, RESOLVE, S_IF, S_IFMT } from "../kernel/flags.ts";
import { planDev, planOutsideDevices } from "../namespaces/devices.ts";
import {
  planCgroupMounts,
  planDonorMemory,
  planJoinedMemory,
  planMessageQueues,
  planProc,
  planSharedMemory,
  planSysfs,
  planTerminals,
} from "../namespaces/kernel-mounts.ts";
import { type DetachedMount, orderMounts } from "../namespaces/mount-operations.ts";
import type { NamespacePlan } from "../namespaces/namespaces.ts";
import { planBind, planTmpfs } from "../namespaces/user-mounts.ts";
import { containerDirectories } from "./container-directories.ts";
import type { StoredContainer } from "./container-table.ts";
import type { EngineContext } from "./context.ts";
import type { RequestedDevices } from "./host-devices.ts";
import { isProcPath } from "./mount-target.ts";
import { planOwnerMap } from "./owner-map.ts";
import type { MountPoint } from "./types.ts";

/** All that is mounted in a container's root, in the order of mounting, and what must be prepared for it. */
export interface ContainerMounts {
  readonly prepare: readonly Operation[];
  readonly mounts: readonly DetachedMount[];
}

export function planContainerMounts(
  context: EngineContext,
  container: StoredContainer,
  parts: {
    namespaces: NamespacePlan;
    devices: RequestedDevices;
    cgroup: CgroupPlan;
    /** By container ID: descriptors of the first processes of those that are joined. */
    joinPidfds: ReadonlyMap<string, number>;
  },
): ContainerMounts {
  const { spec, idBase } = container;
  const { namespaces, devices, cgroup } = parts;
  const own: DetachedMount[] = [
    planProc(),
    planDev({ idBase, devices: devices.nodes, console: spec.tty }),
    planTerminals(),
    ...(namespaces.ipc === "host" ? [] : [planMessageQueues()]),
    ...sharedMemory(context, container, parts),
    planSysfs({ hostNetwork: namespaces.network === "host", writable: spec.privileged }),
    ...cgroupMounts(container, namespaces, cgroup),
    ...planOutsideDevices(devices.outside),
    ...etcFiles(context, container),
  ];
  const asked = askedMounts(context, container).map((planned) =>
    // What is lexically there was allowed at create (validate-spec.ts); a link of the image could lead there too.
    isProcPath(planned.mount.target)
      ? planned
      : { ...planned, mount: { ...planned.mount, asked: true } },
  );
  return {
    prepare: asked.flatMap(({ prepare }) => prepare),
    mounts: orderMounts(
      own,
      asked.map(({ mount }) => mount),
    ),
  };
}

/** What was asked for: volumes, binds, tmpfs. */
export function askedMounts(
  context: EngineContext,
  container: StoredContainer,
): readonly {
  readonly point: MountPoint;
  readonly prepare: readonly Operation[];
  readonly mount: DetachedMount;
}[] {
  return container.spec.mountPoints.map((point, index) => ({
    point,
    ...planMount(context, container, { mount: point, index }),
  }));
}

/** Only in a cgroup namespace of its own may a container with ids of its own mount them: the host's are bound otherwise. */
function cgroupMounts(
  { spec, idBase }: StoredContainer,
  namespaces: NamespacePlan,
  cgroup: CgroupPlan,
): DetachedMount[] {
  if (namespaces.newCgroup || idBase === 0) {
    return planCgroupMounts(cgroup.mounts, spec.privileged);
  }
  const directory = "/sys/fs/cgroup";
  const bind = {
    source: directory,
    target: directory,
    sourceKind: "directory",
    readOnly: true,
    propagation: "",
    recursive: true,
    idmap: null,
    idmapRequired: false,
  } as const;
  return [planBind(bind, 2000)];
}

export function sharedMemory(
  context: EngineContext,
  { spec }: StoredContainer,
  parts: { namespaces: NamespacePlan; joinPidfds: ReadonlyMap<string, number> },
): DetachedMount[] {
  const { ipc } = parts.namespaces;
  if (ipc === "none") return [];
  if (ipc === "host") return [planJoinedMemory("/dev/shm")];
  if (ipc === "shared") {
    const { id } = context.containers.find(spec.ipcMode.slice("container:".length));
    return [planDonorMemory(parts.joinPidfds.get(id) ?? -1)];
  }
  return [planSharedMemory(spec.shmBytes)];
}

/** What the engine gives each container in /etc. */
export const ETC_FILES = ["hosts", "hostname", "resolv.conf"] as const;

/** Files of the container's own over the image's; whoever shares another's network shares its files too. */
export function etcFiles(context: EngineContext, container: StoredContainer): DetachedMount[] {
  const { networkMode } = container.spec;
  const owner = networkMode.startsWith("container:")
    ? context.containers.find(networkMode.slice("container:".length))
    : container;
  const { files } = containerDirectories(context.places, owner.id);
  return ETC_FILES.map((name, index) =>
    planBind(
      {
        source: join(files, name),
        target: `/etc/${name}`,
        sourceKind: "file",
        readOnly: false,
        propagation: "",
        recursive: false,
        idmap: userNamespace(container),
        idmapRequired: false,
      },
      1000 + index,
    ),
  );
}

function userNamespace({ idBase }: StoredContainer): Register | null {
  return idBase === 0 ? null : register("userns");
}

function planMount(
  context: EngineContext,
  container: StoredContainer,
  { mount, index }: { mount: MountPoint; index: number },
): { prepare: readonly Operation[]; mount: DetachedMount } {
  if (mount.type === "tmpfs") return { prepare: [], mount: planTmpfs(mount, index) };
  if (mount.type === "volume") {
    return { prepare: [], mount: planVolume(context, container, { mount, index }) };
  }
  const source = bindSource(mount);
  const owner = mount.asOwner ? planOwnerMap(context, container, { source, index }) : undefined;
  const bind = planBind(
    {
      source,
      target: mount.target,
      sourceKind:
        statSync(source, { throwIfNoEntry: false })?.isDirectory() === false ? "file" : "directory",
      readOnly: mount.readOnly,
      submountsWritable: mount.bind?.submounts === "writable",
      propagation: mount.propagation,
      recursive: mount.bind?.nonRecursive !== true,
      idmap: owner?.userNamespace ?? userNamespace(container),
      idmapRequired: owner !== undefined,
    },
    index,
  );
  return { prepare: owner?.prepare ?? [], mount: bind };
}

/** A volume shows plain ids, and its devices are dead for a container with ids of its own, as those of its layers are. */
function planVolume(
  context: EngineContext,
  container: StoredContainer,
  { mount, index }: { mount: MountPoint; index: number },
): DetachedMount {
  const source = context.volumes.dataPath(mount.source);
  const subpath = mount.volume?.subpath || undefined;
  return planBind(
    {
      source,
      ...(subpath === undefined ? {} : { subpath }),
      target: mount.target,
      sourceKind: subpath === undefined ? "directory" : kindBelow(source, subpath),
      readOnly: mount.readOnly,
      noDevices: container.idBase !== 0,
      propagation: "",
      recursive: true,
      idmap: userNamespace(container),
      idmapRequired: false,
    },
    index,
  );
}

/** What a path below a volume is now; the start finds it again in one look of the kernel's. @throws not-found */
function kindBelow(source: string, subpath: string): "directory" | "file" {
  const root = openat2(AT.FDCWD, source, { flags: O.PATH | O.DIRECTORY });
  try {
    const how = { flags: O.PATH, resolve: RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS };
    const found = openat2Raw(root, subpath, how);
    if (found < 0) throw notAccessible(join(source, subpath), found);
    try {
      return (statusOf(found).mode & S_IFMT) === S_IF.DIR ? "directory" : "file";
    } finally {
      closeDescriptor(found);
    }
  } finally {
    closeDescriptor(root);
  }
}

function notAccessible(path: string, result: number): TiffinError {
  const isMissing = result === -ERRNO.ENOENT;
  return new TiffinError(
    isMissing ? "not-found" : "invalid-argument",
    `cannot access path ${path}: ${isMissing ? "no such file or directory" : errnoName(result)}`,
    { hint: "Make it in the volume first: a subpath is not made for a container" },
  );
}

/** @throws invalid-argument when it is missing and not to be made */
export function bindSource({ source, createSource }: MountPoint): string {
  if (existsSync(source)) return realpathSync(source);
  if (createSource) return source;
  throw invalidArgument(
    `invalid mount config for type "bind": bind source path does not exist: ${source}`,
    `Make it first (mkdir -p ${source}), or use -v, which does`,
  );
}

/** Before a start: docker's -v makes host directories that are missing. */
export function makeBindSources(mounts: readonly MountPoint[]): void {
  for (const { type, source, createSource } of mounts) {
    // A file, or a link to a directory, is there already.
    if (type === "bind" && createSource && !existsSync(source)) {
      mkdirSync(source, { recursive: true, mode: 0o755 });
    }
  }
}
