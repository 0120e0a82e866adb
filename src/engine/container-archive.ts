import { TiffinError } from "../base/error.ts";
import { errnoOf } from "../kernel/syscall.ts";
import type { PathStatus } from "../layers/resolve-path.ts";
import { runTreeTask } from "../layers/tree-thread.ts";
import type { HostSource, HostTarget, TreeResult, WriteTask } from "../layers/tree-task.ts";
import { containerUser } from "./container-root.ts";
import { checkStillThere, holdTree } from "./container-tree.ts";
import type { StoredContainer } from "./container-table.ts";
import { type EngineContext, emitContainerEvent } from "./context.ts";

/** What a path in a container is. @throws not-found in docker's words */
export async function statContainerPath(
  context: EngineContext,
  name: string,
  path: string,
): Promise<PathStatus> {
  const container = context.containers.find(name);
  const tree = await holdTree(context, container.id);
  const results = runTreeTask({ kind: "stat", root: tree.root, path });
  try {
    return await firstStatus(results);
  } catch (error) {
    throw pathError(error, name, path);
  } finally {
    await results.return();
    tree.release();
  }
}

/** An archive that is read as it is taken. */
export interface PathArchive {
  readonly status: PathStatus;
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Lets go of the container, also when nothing was taken. Idempotent; the end of `chunks` does it as well. */
  close(): Promise<void>;
}

/** A path's status, and an archive of what is there. @throws not-found */
export async function readContainerPath(
  context: EngineContext,
  request: { name: string; path: string; signal: AbortSignal },
): Promise<PathArchive> {
  const { name, path, signal } = request;
  const container = context.containers.find(name);
  const tree = await holdTree(context, container.id);
  const { root, idBase } = tree;
  const results = runTreeTask({ kind: "read", root, path, idBase }, { signal });
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (!isOpen) return;
    isOpen = false;
    await results.return();
    tree.release();
  };
  try {
    const status = await firstStatus(results);
    emitContainerEvent(context, container, "archive-path");
    return { status, chunks: chunksOf(context, { container, results, close }), close };
  } catch (error) {
    await close();
    throw pathError(error, name, path);
  }
}

async function* chunksOf(
  context: EngineContext,
  reading: {
    container: StoredContainer;
    results: AsyncGenerator<TreeResult, void>;
    close: () => Promise<void>;
  },
): AsyncGenerator<Uint8Array, void> {
  try {
    for await (const result of reading.results) if (result.kind === "chunk") yield result.data;
    checkStillThere(context, reading.container);
  } finally {
    await reading.close();
  }
}

async function firstStatus(results: AsyncGenerator<TreeResult, void>): Promise<PathStatus> {
  const first = await results.next();
  if (first.done !== true && first.value.kind === "status") return first.value.status;
  throw new TiffinError("internal", "A path's status did not come first");
}

export interface ArchiveWrite {
  readonly name: string;
  /** A directory in the container. */
  readonly path: string;
  /** Give everything to the container's user instead of the archive's owners (docker's copyUIDGID). */
  readonly asContainerUser: boolean;
  /** Refuse to replace a directory by something else, and the other way round (docker's noOverwriteDirNonDir). */
  readonly keepsKinds: boolean;
  /** A tar archive, plain, gzip or zstd. */
  readonly archive: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
}

export type CopyIn = Omit<ArchiveWrite, "archive"> & { readonly host: HostSource };

export interface CopyOut {
  readonly name: string;
  readonly path: string;
  readonly host: HostTarget;
  readonly signal: AbortSignal;
}

/**
 * Unpacks an archive into a directory of a container. What was unpacked before an error stays, as with docker.
 * @throws not-found (the directory); invalid-argument (no directory, or a bad archive); permission-denied (read-only)
 */
export async function writeContainerPath(
  context: EngineContext,
  request: ArchiveWrite,
): Promise<void> {
  const { archive: input, signal } = request;
  await writeInto(context, request, (task) =>
    runTreeTask({ kind: "write", ...task }, { input, signal }),
  );
}

/**
 * What {@link writeContainerPath} does with an archive of a path of the host, without the archive. The caller answers for who
 * asks: the file is read with the engine's rights.
 */
export async function copyIntoContainer(context: EngineContext, request: CopyIn): Promise<void> {
  const { host, signal } = request;
  await writeInto(context, request, (task) =>
    runTreeTask({ kind: "copy-in", ...task, host }, { signal }),
  );
}

/**
 * Copies a path of a container into a directory of the host, with the engine's rights: links are not followed on the host, and owners
 * and attributes stay behind. @throws not-found
 */
export async function copyOutOfContainer(context: EngineContext, request: CopyOut): Promise<void> {
  const { name, path, host, signal } = request;
  const container = context.containers.find(name);
  const tree = await holdTree(context, container.id);
  const { root, idBase } = tree;
  try {
    await finished(runTreeTask({ kind: "copy-out", root, path, idBase, host }, { signal }));
    checkStillThere(context, container);
  } catch (error) {
    throw pathError(error, name, path);
  } finally {
    tree.release();
  }
  emitContainerEvent(context, container, "archive-path");
}

async function finished(results: AsyncGenerator<TreeResult, void>): Promise<void> {
  for await (const _ of results);
}

async function writeInto(
  context: EngineContext,
  request: Omit<ArchiveWrite, "archive">,
  run: (task: WriteTask) => AsyncGenerator<TreeResult, void>,
): Promise<void> {
  const { name, path, keepsKinds } = request;
  const container = context.containers.find(name);
  const { user } = container.spec;
  const asUser = request.asContainerUser && user !== "";
  const owner = asUser ? containerUser(context, container, user, []) : null;
  const tree = await holdTree(context, container.id);
  const { root, idBase } = tree;
  const task: WriteTask = {
    root,
    path,
    idBase,
    owner: owner === null ? null : { uid: owner.uid, gid: owner.gid },
    keepsKinds,
  };
  try {
    await finished(run(task));
  } catch (error) {
    throw pathError(error, name, path);
  } finally {
    tree.release();
  }
  emitContainerEvent(context, container, "extract-to-dir");
}

/** Docker's words for a path that is not there; what went wrong in an archive's entry is told as it is. */
function pathError(error: unknown, name: string, path: string): unknown {
  if (!(error instanceof TiffinError) || error.details?.["entry"] !== undefined) return error;
  const errno = errnoOf(error);
  if (errno === "ENOENT") {
    return new TiffinError(
      "not-found",
      `Could not find the file ${path} in container ${name.replace(/^\//, "")}`,
      { cause: error },
    );
  }
  if (errno !== "ENOTDIR" && errno !== "ELOOP" && errno !== "ENAMETOOLONG") return error;
  const words = {
    ENOTDIR: "not a directory",
    ELOOP: "too many levels of symbolic links",
    ENAMETOOLONG: "file name too long",
  }[errno];
  return new TiffinError("invalid-argument", `lstat ${path}: ${words}`, { cause: error });
}
