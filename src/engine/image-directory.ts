import { closeDescriptor, openat2 } from "../kernel/files.ts";
import { AT, O, S_IF, S_IFMT } from "../kernel/flags.ts";
import { errnoOf } from "../kernel/syscall.ts";
import { type MergedDirectory, type MergedNode, Stack } from "../layers/stack.ts";
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
  return {
    status: node.status,
    open: () => stack.open(node, O.RDONLY | O.DIRECTORY | O.NOFOLLOW),
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
    open: () => openFile(stack, node),
    linkTarget: () => stack.linkTarget(node),
    directory: () =>
      node.directory === null ? null : sourceDirectory(stack, node, node.directory),
  };
}

/** Layers do not change; all the same nothing but a file is opened for reading. */
function openFile(stack: Stack, node: MergedNode): number {
  const isFile = (node.status.mode & S_IFMT) === S_IF.REG;
  return stack.open(node, (isFile ? O.RDONLY | O.NONBLOCK : O.PATH) | O.NOFOLLOW);
}
