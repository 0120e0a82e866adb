import { existsSync, mkdirSync, realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { invalidArgument } from "../base/error.ts";
import { type Operation, type Register, register } from "../base/operation.ts";
import type { CgroupPlan } from "../cgroups/plan.ts";
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
import type { MountSpec } from "./types.ts";

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
  const asked = spec.mounts.map((mount, index) => {
    const planned = planMount(context, container, { mount, index });
    // What is lexically there was allowed at create (validate-spec.ts); a link of the image could lead there too.
    return isProcPath(mount.target)
      ? planned
      : { ...planned, mount: { ...planned.mount, asked: true } };
  });
  return {
    prepare: asked.flatMap(({ prepare }) => prepare),
    mounts: orderMounts(
      own,
      asked.map(({ mount }) => mount),
    ),
  };
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

function sharedMemory(
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

/** Files of the container's own over the image's; whoever shares another's network shares its files too. */
function etcFiles(context: EngineContext, container: StoredContainer): DetachedMount[] {
  const { networkMode } = container.spec;
  const owner = networkMode.startsWith("container:")
    ? context.containers.find(networkMode.slice("container:".length))
    : container;
  const { files } = containerDirectories(context.places, owner.id);
  return ["hosts", "hostname", "resolv.conf"].map((name, index) =>
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
  { mount, index }: { mount: MountSpec; index: number },
): { prepare: readonly Operation[]; mount: DetachedMount } {
  if (mount.type === "tmpfs") return { prepare: [], mount: planTmpfs(mount, index) };
  const source = bindSource(mount);
  const owner = mount.asOwner ? planOwnerMap(context, container, { source, index }) : undefined;
  const bind = planBind(
    {
      source,
      target: mount.target,
      sourceKind:
        statSync(source, { throwIfNoEntry: false })?.isDirectory() === false ? "file" : "directory",
      readOnly: mount.readOnly,
      propagation: mount.propagation,
      recursive: true,
      idmap: owner?.userNamespace ?? userNamespace(container),
      idmapRequired: owner !== undefined,
    },
    index,
  );
  return { prepare: owner?.prepare ?? [], mount: bind };
}

/** @throws invalid-argument when it is missing and not to be made */
function bindSource({ source, createSource }: MountSpec): string {
  if (existsSync(source)) return realpathSync(source);
  if (createSource) return source;
  throw invalidArgument(
    `Invalid mount config for type "bind": bind source path does not exist: ${source}`,
    `Make it first (mkdir -p ${source}), or use -v, which does`,
  );
}

/** Before a start: docker's -v makes host directories that are missing. */
export function makeBindSources(mounts: readonly MountSpec[]): void {
  for (const { type, source, createSource } of mounts) {
    // A file, or a link to a directory, is there already.
    if (type === "bind" && createSource && !existsSync(source)) {
      mkdirSync(source, { recursive: true, mode: 0o755 });
    }
  }
}
