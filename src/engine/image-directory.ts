import {
  closeDescriptor,
  type FileStatus,
  openat2,
  readDirectory,
  readlinkat,
  statusAt,
} from "../kernel/files.ts";
import { AT, O, RESOLVE } from "../kernel/flags.ts";
import { errnoOf } from "../kernel/syscall.ts";
import {
  isDirectory,
  isWhiteout,
  type MergedDirectory,
  type MergedNode,
  Stack,
} from "../layers/stack.ts";
import type { SourceDirectory, SourceEntry } from "../volumes/index.ts";

/** What an image has at a path, seen without a mount; links lead nowhere outside of the layers. */
export type ImagePath =
  | { readonly kind: "missing" }
  | { readonly kind: "file" }
  | { readonly kind: "directory"; readonly directory: SourceDirectory };

/**
 * Looks at a path of an image and hands it to `use`; the layers stay open until that is over.
 * @param layers the lowest first
 */
export async function withImagePath<Result>(
  layers: readonly string[],
  path: string,
  use: (found: ImagePath) => Promise<Result> | Result,
): Promise<Result> {
  const roots: number[] = [];
  try {
    for (const layer of layers.toReversed()) {
      roots.push(openat2(AT.FDCWD, layer, { flags: O.RDONLY | O.DIRECTORY }));
    }
    const stack = new Stack(roots);
    return await use(imagePath(stack, path));
  } finally {
    roots.forEach(closeDescriptor);
  }
}

function imagePath(stack: Stack, path: string): ImagePath {
  const node = nodeAt(stack, path);
  if (node === null) return { kind: "missing" };
  if (node.directory === null) return { kind: "file" };
  return { kind: "directory", directory: sourceDirectory(stack, node, node.directory) };
}

function nodeAt(stack: Stack, path: string): MergedNode | null {
  try {
    return stack.resolve(path, { followLast: true, atRoot: "stay" })?.node ?? null;
  } catch (error) {
    // What the kernel would say at the mount, it says then: a file on the way, links in a circle.
    if (["ENOTDIR", "ELOOP"].includes(errnoOf(error) ?? "")) return null;
    throw error;
  }
}

function sourceDirectory(
  stack: Stack,
  node: MergedNode,
  directory: MergedDirectory,
): SourceDirectory {
  const open = (): number => stack.open(node, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
  // What one layer alone has is read as it is there: a third of the calls.
  if (directory.layers.length === 1) return layerDirectory(node.status, open);
  return {
    status: node.status,
    open,
    entries: function* () {
      for (const { name, node: found } of stack.list(directory)) {
        yield sourceEntry(stack, name, found);
      }
    },
  };
}

function sourceEntry(stack: Stack, name: string, node: MergedNode): SourceEntry {
  return {
    name,
    status: node.status,
    open: () => stack.open(node, O.RDONLY | O.NONBLOCK | O.NOFOLLOW),
    linkTarget: () => stack.linkTarget(node),
    directory: () =>
      node.directory === null ? null : sourceDirectory(stack, node, node.directory),
  };
}

const INSIDE = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS | RESOLVE.NO_MAGICLINKS;

/** A directory to which no other layer contributes, so that nothing below it is merged either; whiteouts hide nothing there. */
function layerDirectory(status: FileStatus, open: () => number): SourceDirectory {
  return {
    status,
    open,
    entries: function* () {
      const directory = open();
      try {
        for (const { name } of readDirectory(directory)) {
          const found = statusAt(directory, name);
          if (found !== null && !isWhiteout(found)) yield layerEntry(directory, name, found);
        }
      } finally {
        closeDescriptor(directory);
      }
    },
  };
}

/** Valid as long as the directory is open. */
function layerEntry(directory: number, name: string, status: FileStatus): SourceEntry {
  const open = (flags: number): number =>
    openat2(directory, name, { flags: flags | O.NOFOLLOW, resolve: INSIDE });
  return {
    name,
    status,
    open: () => open(O.RDONLY | O.NONBLOCK),
    linkTarget: () => readlinkat(directory, name),
    directory: () =>
      isDirectory(status) ? layerDirectory(status, () => open(O.RDONLY | O.DIRECTORY)) : null,
  };
}
