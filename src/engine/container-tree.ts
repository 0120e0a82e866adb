import { join } from "node:path";
import { isTiffinError, TiffinError } from "../base/error.ts";
import { closeDescriptor, openat2Raw } from "../kernel/files.ts";
import { AT, O } from "../kernel/flags.ts";
import { syscallRaw } from "../kernel/syscall.ts";
import type { StackBind } from "../layers/mount-stack.ts";
import type { OwnLayer, TreeRoot } from "../layers/tree-task.ts";
import { ETC_FILES, makeBindSources } from "./container-mounts.ts";
import { containerDirectories } from "./container-directories.ts";
import { containerLayers } from "./container-root.ts";
import type { StoredContainer } from "./container-table.ts";
import type { EngineContext } from "./context.ts";
import { mountVolumes, releaseVolumes } from "./mount-volumes.ts";
import { isRunning } from "./stop-container.ts";

/** A container's tree of files, held for one piece of work. */
export interface HeldTree {
  readonly root: TreeRoot;
  /** What stands between the tree's ids and the container's: the first of its range, or 0. */
  readonly idBase: number;
  release(): void;
}

/**
 * Holds the tree of a container as it is to be copied from and to: of one that runs, what its first process sees, volumes and all;
 * of another, its root with its volumes and binds, which then cannot be started or removed until it is released.
 *
 * The mount namespace of one that runs is held as well, so that nothing goes missing when it ends meanwhile. Nothing of the
 * container is run or loaded (CVE-2019-14271): there is a descriptor of its root, and the engine's own code.
 */
export async function holdTree(context: EngineContext, id: string): Promise<HeldTree> {
  const running = holdRunning(context, context.containers.find(id));
  if (running !== undefined) return running;
  const unlock = await lockContainer(context, id);
  try {
    const container = context.containers.find(id);
    // Started while the lock was waited for.
    const started = holdRunning(context, container);
    if (started !== undefined) {
      unlock();
      return started;
    }
    makeBindSources(container.spec.mountPoints);
    await mountVolumes(context, container);
    const { writable } = containerDirectories(context.places, id);
    const stack = {
      layers: containerLayers(context, container),
      writableDirectory: writable,
      binds: stackBinds(context, container),
      readOnly: container.spec.readOnlyRootfs,
      kernel: context.hostDetails.kernel,
    };
    return { root: { stack }, idBase: 0, release: () => void release() };
  } catch (error) {
    await release();
    throw error;
  }

  async function release(): Promise<void> {
    try {
      await releaseVolumes(context, id);
    } finally {
      unlock();
    }
  }
}

/** Undefined when its first process is not there (any more). */
function holdRunning(context: EngineContext, container: StoredContainer): HeldTree | undefined {
  const process = context.processes.get(container.id);
  if (process === undefined || !isRunning(container)) return undefined;
  const proc = `/proc/${process.processId()}`;
  const held: number[] = [];
  const release = (): void => held.forEach(closeDescriptor);
  const paths: readonly [string, number][] = [
    ["ns/mnt", O.RDONLY],
    ["root", O.PATH | O.DIRECTORY],
  ];
  for (const [name, flags] of paths) {
    const descriptor = openat2Raw(AT.FDCWD, `${proc}/${name}`, { flags });
    if (descriptor < 0) {
      release();
      return undefined;
    }
    held.push(descriptor);
  }
  if (!isAlive(process)) {
    // The number may be another process' by now.
    release();
    return undefined;
  }
  const [namespace = -1, descriptor = -1] = held;
  return { root: { descriptor, namespace }, idBase: container.idBase, release };
}

function isAlive(process: { descriptor(): number }): boolean {
  try {
    return syscallRaw("pidfd_send_signal", process.descriptor(), 0, null, 0) === 0;
  } catch (error) {
    if (isTiffinError(error, "conflict")) return false;
    throw error;
  }
}

/** Holds a container's lock until the function that this resolves to is called. */
export async function lockContainer(context: EngineContext, id: string): Promise<() => void> {
  const held = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  void context.lock.hold(id, () => {
    held.resolve();
    return released.promise;
  });
  await held.promise;
  return released.resolve;
}

/** What is bound into the tree of a container that does not run: volumes and binds, and the engine's files over those in /etc. */
function stackBinds(context: EngineContext, { id, spec }: StoredContainer): StackBind[] {
  const { files } = containerDirectories(context.places, id);
  const own = ETC_FILES.map((name) => ({
    source: join(files, name),
    subpath: "",
    target: `/etc/${name}`,
    readOnly: false,
    isRecursive: false,
  }));
  const asked = spec.mountPoints
    .filter(({ type }) => type !== "tmpfs")
    .map((mount) => ({
      source: mount.type === "volume" ? context.volumes.dataPath(mount.source) : mount.source,
      subpath: mount.volume?.subpath ?? "",
      target: mount.target,
      readOnly: mount.readOnly,
      isRecursive: mount.bind?.nonRecursive !== true,
    }));
  // The user's word goes over the engine's, and what is deeper is mounted later.
  const targets = new Set(asked.map(({ target }) => target));
  return [...own.filter(({ target }) => !targets.has(target)), ...asked].sort(
    (one, other) => one.target.split("/").length - other.target.split("/").length,
  );
}

/** Where the engine mounts its own things: no changes of the container's. */
const MOUNT_POINTS = ["proc", "sys", "dev", ...ETC_FILES.map((name) => `etc/${name}`)];

/** A container's own layer over its image's. */
export function ownLayer(context: EngineContext, container: StoredContainer): OwnLayer {
  const { writable } = containerDirectories(context.places, container.id);
  return {
    upper: join(writable, "upper"),
    layers: containerLayers(context, container),
    mountPoints: MOUNT_POINTS,
  };
}

/**
 * Keeps a container's own layer in place while it is read: one that does not run cannot be started or removed meanwhile. One that
 * runs may go; whoever reads looks afterwards ({@link checkStillThere}).
 */
export async function holdLayer(context: EngineContext, id: string): Promise<() => void> {
  if (isRunning(context.containers.find(id))) return () => undefined;
  return lockContainer(context, id);
}

/** @throws conflict when the container was removed while it was read: what was read may lack anything */
export function checkStillThere(context: EngineContext, { id }: StoredContainer): void {
  const now = context.containers.withId(id);
  if (now !== undefined && now.phase !== "removing") return;
  throw new TiffinError("conflict", `Container ${id.slice(0, 12)} was removed while it was read`);
}
