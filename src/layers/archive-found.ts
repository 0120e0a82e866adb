import { basename, dirname } from "node:path";
import { closeDescriptor, openat2, statusOf } from "../kernel/files.ts";
import { AT, O } from "../kernel/flags.ts";
import { archiveFile, type ArchiveOptions, archiveTree } from "./archive-tree.ts";
import type { FoundPath } from "./resolve-path.ts";
import { isDirectory } from "./stack.ts";
import { Tree } from "./tree.ts";

type Held = Pick<FoundPath, "directory" | "parent" | "name">;

/** An archive of what was found: a directory with all below it, or one name. */
export function* archiveFound(
  { directory, parent, name }: Held,
  options: ArchiveOptions,
): Generator<Uint8Array, void> {
  if (directory === null) {
    yield* archiveFile({ parent, name }, options);
    return;
  }
  const listed = openat2(directory, ".", { flags: O.RDONLY | O.DIRECTORY });
  try {
    yield* archiveTree(new Tree([listed], "plain"), options);
  } finally {
    closeDescriptor(listed);
  }
}

/** A file or directory of the host, held; a link at the end of the path is not followed. Close it. */
export function holdHostSource(path: string): {
  archive(options: ArchiveOptions): Generator<Uint8Array, void>;
  close(): void;
} {
  const parent = openat2(AT.FDCWD, dirname(path), { flags: O.PATH | O.DIRECTORY });
  const opened = [parent];
  const close = (): void => opened.forEach(closeDescriptor);
  try {
    const name = basename(path) || ".";
    const held = openat2(parent, name, { flags: O.PATH | O.NOFOLLOW });
    opened.push(held);
    const directory = isDirectory(statusOf(held)) ? held : null;
    return { archive: (options) => archiveFound({ directory, parent, name }, options), close };
  } catch (error) {
    close();
    throw error;
  }
}
