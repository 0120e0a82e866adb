import { createHash } from "node:crypto";
import { posix } from "node:path";
import { TiffinError } from "../base/error.ts";
import { closeDescriptor, fileSystemOf, openat2, statusOf } from "../kernel/files.ts";
import { AT, O, PR, SECBIT_NO_SETUID_FIXUP } from "../kernel/flags.ts";
import { syscall, syscallRaw } from "../kernel/syscall.ts";
import { archiveFound, holdHostSource } from "./archive-found.ts";
import { type ArchiveOptions, archiveTree } from "./archive-tree.ts";
import { ChunkPacker } from "./chunk-packer.ts";
import { type Change, engineMade, walkChanges } from "./changes.ts";
import { decompress } from "./decompress.ts";
import { DirectOutput } from "./direct-output.ts";
import { mountStack } from "./mount-stack.ts";
import { findDirectory, type FoundPath, findPath } from "./resolve-path.ts";
import { TarDecoder } from "./tar-reader.ts";
import { followRecipe } from "./tar-recipe.ts";
import type { OwnLayer, TreeResult, TreeRoot, TreeTask, WriteTask } from "./tree-task.ts";
import { Tree, withRoots } from "./tree.ts";
import { TreeWriter } from "./tree-writer.ts";
import { withoutDevices } from "./without-devices.ts";

/** How the thread of a task speaks with the engine's. */
export interface TreeLine {
  /** Resolves when more may be sent. */
  send(result: TreeResult): Promise<void>;
  /** The archive to unpack. */
  readonly input: AsyncIterable<Uint8Array>;
  /** Called often. @throws when the work is to end */
  checkpoint(): void;
}

const CHANGES_AT_ONCE = 1000;

/** Does a task. Blocks the thread for milliseconds at a time; changes the thread's mount namespace and file ids meanwhile. */
export async function doTreeTask(task: TreeTask, line: TreeLine): Promise<void> {
  switch (task.kind) {
    case "stat":
      return inRoot(task.root, async (root) => {
        const found = findPath(root, task.path);
        found.close();
        await line.send({ kind: "status", status: found.status });
      });
    case "read":
      return inRoot(task.root, (root) => readPath(root, task, line));
    case "write":
      return inRoot(task.root, (root) => intoPath(root, task, (writer) => unpack(writer, line)));
    case "copy-in":
      return copyIn(task, line);
    case "copy-out":
      return copyOut(task, line);
    case "export":
      return exportRoot(task.layer, line);
    case "layer":
      return archiveLayer(task.layer, line);
    case "changes":
      return tellChanges(task.layer, line);
    case "rebuild":
      return withRoots([task.directory], ([root = -1]) => rebuild(root, task, line));
  }
}

async function rebuild(
  root: number,
  task: TreeTask & { kind: "rebuild" },
  line: TreeLine,
): Promise<void> {
  const hash = createHash("sha256");
  const packer = new ChunkPacker();
  const send = (data: Uint8Array): Promise<void> | void => {
    hash.update(data);
    return line.send({ kind: "chunk", data });
  };
  for (const bytes of followRecipe(task.recipe, root)) {
    line.checkpoint();
    packer.add(bytes);
    for (const data of packer.takeFull()) await send(data);
  }
  for (const data of packer.finish()) await send(data);
  const actual = `sha256:${hash.digest("hex")}`;
  if (actual === task.diffId) return;
  throw new TiffinError(
    "data-loss",
    `Cannot make the archive of layer ${task.diffId} again: it became ${actual}`,
    { hint: "Its files were changed: remove the image and load or pull it again" },
  );
}

async function inRoot(where: TreeRoot, work: (root: number) => Promise<void>): Promise<void> {
  if ("descriptor" in where) return work(where.descriptor);
  const mounted = mountStack(where.stack);
  try {
    await work(mounted.root);
  } finally {
    mounted.close();
  }
}

async function readPath(
  root: number,
  task: TreeTask & { kind: "read" },
  line: TreeLine,
): Promise<void> {
  const found = findPath(root, task.path);
  try {
    await line.send({ kind: "status", status: found.status });
    const options = {
      base: found.status.name,
      idBase: task.idBase,
      checkpoint: () => line.checkpoint(),
    };
    await withTrusted(task.root, found, (held, isTrusted) =>
      sendAll(archiveFound(held, { ...options, isTrusted }), line),
    );
  } finally {
    found.close();
  }
}

/** `isTrusted`: on what is held then, no name opens a device. */
async function withTrusted(
  root: TreeRoot,
  found: FoundPath,
  work: (held: FoundPath, isTrusted: boolean) => Promise<void> | void,
): Promise<void> {
  const { directory } = found;
  const own = directory === null ? undefined : withoutDevices(root, directory);
  if (own === undefined) return work(found, "stack" in root);
  try {
    await work({ ...found, directory: own }, true);
  } finally {
    closeDescriptor(own);
  }
}

async function sendAll(chunks: Generator<Uint8Array, void>, line: TreeLine): Promise<void> {
  for (const data of chunks) {
    line.checkpoint();
    await line.send({ kind: "chunk", data });
  }
}

/** Without a pause: a task of few calls for each file, on a thread of its own. */
async function copyIn(task: TreeTask & { kind: "copy-in" }, line: TreeLine): Promise<void> {
  const source = holdHostSource(task.host.path);
  try {
    await inRoot(task.root, (root) =>
      intoPath(root, task, async (writer) => {
        const options = directOptions(task.host.base, writer, line);
        for (const _ of source.archive({ ...options, idBase: 0, isTrusted: true }));
      }),
    );
  } finally {
    source.close();
  }
}

async function copyOut(task: TreeTask & { kind: "copy-out" }, line: TreeLine): Promise<void> {
  const path = task.host.directory;
  const directory = openat2(AT.FDCWD, path, { flags: O.PATH | O.DIRECTORY });
  try {
    await inRoot(task.root, async (root) => {
      const made = { owner: "maker", keepsKinds: true, idBase: 0 } as const;
      const writer = new TreeWriter({ root: null, directory, path, ...made });
      const found = findPath(root, task.path);
      try {
        const { idBase } = task;
        const options = { ...directOptions(task.host.base, writer, line), idBase };
        await withTrusted(task.root, found, (held, isTrusted) => {
          for (const _ of archiveFound(held, { ...options, isTrusted }));
        });
      } finally {
        found.close();
        writer.close();
      }
    });
  } finally {
    closeDescriptor(directory);
  }
}

function directOptions(base: string, writer: TreeWriter, line: TreeLine): DirectOptions {
  const checkpoint = (): void => line.checkpoint();
  return { base, checkpoint, output: new DirectOutput(writer), withoutAttributes: true };
}

type DirectOptions = Omit<ArchiveOptions, "idBase">;

/** Unpacks into a directory of a container. */
async function intoPath(
  root: number,
  task: WriteTask,
  fill: (writer: TreeWriter) => Promise<void>,
): Promise<void> {
  const { descriptor, path } = findDirectory(root, task.path);
  try {
    checkWritable(root, descriptor);
    const writer = new TreeWriter({
      root,
      directory: descriptor,
      path: posix.normalize(path),
      idBase: task.idBase,
      owner: task.owner,
      keepsKinds: task.keepsKinds,
    });
    becomeRootOf(task.idBase);
    try {
      await fill(writer);
    } finally {
      writer.close();
      becomeRootOf(0);
    }
  } finally {
    closeDescriptor(descriptor);
  }
}

async function unpack(writer: TreeWriter, line: TreeLine): Promise<void> {
  const decoder = new TarDecoder();
  let isEmpty = true;
  for await (const chunk of decompress(line.input)) {
    for (const event of decoder.push(chunk)) {
      line.checkpoint();
      writer.take(event);
    }
    isEmpty &&= chunk.length === 0;
    line.checkpoint();
  }
  // No bytes at all are an archive of nothing.
  if (!isEmpty) decoder.finish();
  writer.finish();
}

/** @throws permission-denied in docker's words */
function checkWritable(root: number, directory: number): void {
  if (!fileSystemOf(directory).readOnly) return;
  const isRoot = statusOf(root).device === statusOf(directory).device;
  throw new TiffinError(
    "permission-denied",
    isRoot ? "container rootfs is marked read-only" : "mounted volume is marked read-only",
  );
}

/**
 * What this thread makes from now on belongs to the root of a container's range: on an idmapped file system the host's root
 * has no id (EOVERFLOW). Capabilities over files stay (SECBIT_NO_SETUID_FIXUP). All of it is the thread's alone.
 */
function becomeRootOf(idBase: number): void {
  if (idBase !== 0) syscall("prctl", PR.SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0);
  syscallRaw("setfsgid", idBase);
  syscallRaw("setfsuid", idBase);
  if (idBase === 0) syscall("prctl", PR.SET_SECUREBITS, 0, 0, 0, 0);
}

const AS_IT_IS = { base: "", idBase: 0 } as const;

function optionsFor(line: TreeLine): ArchiveOptions {
  return { ...AS_IT_IS, checkpoint: () => line.checkpoint() };
}

function exportRoot({ upper, layers }: OwnLayer, line: TreeLine): Promise<void> {
  return withRoots([...layers, upper], (roots) =>
    sendAll(archiveTree(new Tree(roots, "merged"), optionsFor(line)), line),
  );
}

/** The two trees of a container's own layer, for the time of one piece of work. */
function withOwnLayer<Result>(
  { upper, layers, mountPoints }: OwnLayer,
  work: (trees: { upper: Tree; lower: Tree; leftOut: Set<string> }) => Promise<Result>,
): Promise<Result> {
  return withRoots(layers, (lowerRoots) =>
    withRoots([upper], (upperRoots) => {
      const trees = { upper: new Tree(upperRoots, "plain"), lower: new Tree(lowerRoots, "merged") };
      return work({ ...trees, leftOut: engineMade(trees, mountPoints) });
    }),
  );
}

function archiveLayer(layer: OwnLayer, line: TreeLine): Promise<void> {
  return withOwnLayer(layer, async ({ upper, leftOut }) => {
    const top = upper.open(upper.top);
    const names = top?.entries().map(({ name }) => name) ?? [];
    top?.close();
    if (names.every((name) => leftOut.has(name))) return;
    await sendAll(archiveTree(upper, { ...optionsFor(line), asLayer: true, leftOut }), line);
  });
}

function tellChanges(layer: OwnLayer, line: TreeLine): Promise<void> {
  return withOwnLayer(layer, async (trees) => {
    const changes: Change[] = [];
    walkChanges(trees, (change) => {
      line.checkpoint();
      changes.push(change);
    });
    for (let at = 0; at < changes.length; at += CHANGES_AT_ONCE) {
      await line.send({ kind: "changes", changes: changes.slice(at, at + CHANGES_AT_ONCE) });
    }
  });
}
